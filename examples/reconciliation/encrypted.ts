import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Codec, jsonCodec } from '@cachekit/core';

/**
 * JSON, encrypted by AES-256-GCM with a fresh nonce for each entry: CPF numbers and phones are in Redis for nobody else to
 * read. Another secret makes every entry a miss; docs/codecs.md has one whose secrets are rotated.
 *
 * @param secret - 32 bytes.
 * @throws RangeError for any other length.
 */
export function encrypted(secret: Buffer): Codec {
  if (secret.length !== 32)
    throw new RangeError(`The secret of the cache has ${secret.length} bytes and not 32`);
  return {
    id: 'X',
    encode(value) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce);
      const body = Buffer.concat([cipher.update(jsonCodec.encode(value), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    decode(text) {
      const bytes = Buffer.from(text, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12), { authTagLength: 16 });
      decipher.setAuthTag(bytes.subarray(12, 28));
      return jsonCodec.decode(
        Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8'),
      );
    },
  };
}
