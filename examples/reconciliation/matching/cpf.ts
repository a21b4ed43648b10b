/**
 * The eleven digits of a CPF, the number of a person in Brazil, however it is punctuated.
 *
 * @returns `undefined` for what is none: another length, eleven times the same digit, or wrong check digits.
 */
export function cpfDigits(text: string | null | undefined): string | undefined {
  const digits = (text ?? '').replace(/\D/g, '');
  if (digits.length !== 11 || /^(\d)\1*$/.test(digits)) return undefined;
  return withCheckDigits(digits.slice(0, 9)) === digits ? digits : undefined;
}

/** Nine digits with the two that check them. */
export function withCheckDigits(nine: string): string {
  const ten = nine + checkDigit(nine);
  return ten + checkDigit(ten);
}

/** The digits are weighed by 2, 3, ... from the last one; what is left over by 11 gives the next. */
function checkDigit(digits: string): number {
  const sum = [...digits].reduce((total, digit, at) => total + Number(digit) * (digits.length + 1 - at), 0);
  return ((sum * 10) % 11) % 10;
}
