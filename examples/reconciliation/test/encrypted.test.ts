import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { encrypted } from '../encrypted.ts';

const codec = encrypted(randomBytes(32));
const customer = { name: 'Inês', cpf: '529.982.247-25', due: null };

test('what was encrypted is the same when it comes back, and another text each time', () => {
  const text = codec.encode(customer);
  expect(codec.decode(text)).toEqual(customer);
  expect(codec.encode(customer)).not.toBe(text);
  expect(text).not.toContain('529');
});

test('what was tampered with, or encrypted with another secret, does not come back', () => {
  const text = codec.encode(customer);
  const bytes = Buffer.from(text, 'base64');
  for (const at of [0, 12, 28, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(() => codec.decode(changed.toString('base64')), `byte ${at}`).toThrow();
  }
  expect(() => encrypted(randomBytes(32)).decode(text)).toThrow();
  expect(() => codec.decode('')).toThrow();
});

test('a secret of another length is refused before anything is served', () => {
  for (const length of [0, 16, 31, 33]) expect(() => encrypted(randomBytes(length))).toThrow(RangeError);
});
