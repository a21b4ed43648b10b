/** Phones and mail addresses in what a bank wrote of a payment: a Pix is often sent to or from one. */
export function contactsIn(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [mail] of text.toLowerCase().matchAll(/[^\s@:;,<>()]+@[^\s@:;,<>()]+\.[a-z]{2,}/g))
    found.add(mail);
  for (const [phone] of text.matchAll(/\+?\d[\d\s().-]{8,18}\d/g)) {
    const digits = phoneDigits(phone);
    if (digits !== '') found.add(digits);
  }
  return found;
}

/** The ten or eleven digits of a phone in Brazil, without the country's; empty for what is none. */
export function phoneDigits(text: string): string {
  const digits = text.replace(/\D/g, '').replace(/^55(?=\d{10,11}$)/, '');
  return digits.length === 10 || digits.length === 11 ? digits : '';
}
