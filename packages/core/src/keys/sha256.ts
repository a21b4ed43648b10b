const roundConstants = primesRoots(64, 3);
const initialState = primesRoots(8, 2);
const schedule = new Int32Array(64);
const encoder = new TextEncoder();
/** Where the bytes of most texts are put: what is made for each costs more than the hash. */
const short = new Uint8Array(512);
const shortBlocks = new DataView(short.buffer);

/**
 * SHA-256 of a text as UTF-8, as eight 32-bit words.
 *
 * Written here because it has to answer at once and in a browser too, where the platform's digest is a promise.
 *
 * @see FIPS 180-4, section 6.2
 */
export function sha256(text: string): Int32Array {
  // In UTF-8 no character of a text takes more than three bytes; nine more say where it ends and how long it is.
  const most = text.length * 3 + 9;
  const bytes = most <= short.length ? short : new Uint8Array((most + 63) & ~63);
  const { written } = encoder.encodeInto(text, bytes);
  const end = ((written + 8) >> 6) * 64 + 64;
  bytes.fill(0, written, end);
  bytes[written] = 0x80;
  const blocks = bytes === short ? shortBlocks : new DataView(bytes.buffer);
  blocks.setUint32(end - 8, Math.floor(written / 0x2000_0000));
  blocks.setUint32(end - 4, written << 3);
  const state = new Int32Array(initialState);
  for (let offset = 0; offset < end; offset += 64) compress(state, blocks, offset);
  return state;
}

function compress(state: Int32Array, blocks: DataView, offset: number): void {
  const w = schedule;
  for (let i = 0; i < 16; i++) w[i] = blocks.getInt32(offset + i * 4);
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] as number;
    const y = w[i - 2] as number;
    const small0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
    const small1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
    w[i] = ((w[i - 16] as number) + small0 + (w[i - 7] as number) + small1) | 0;
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let i = 0; i < 64; i++) {
    const big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = (h + big1 + choice + (roundConstants[i] as number) + (w[i] as number)) | 0;
    const big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + big0 + majority) | 0;
  }
  state[0] = ((state[0] as number) + a) | 0;
  state[1] = ((state[1] as number) + b) | 0;
  state[2] = ((state[2] as number) + c) | 0;
  state[3] = ((state[3] as number) + d) | 0;
  state[4] = ((state[4] as number) + e) | 0;
  state[5] = ((state[5] as number) + f) | 0;
  state[6] = ((state[6] as number) + g) | 0;
  state[7] = ((state[7] as number) + h) | 0;
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

/** The first 32 fractional bits of the square or cube roots of the first primes. */
function primesRoots(count: number, root: 2 | 3): Int32Array {
  const words = new Int32Array(count);
  for (let found = 0, candidate = 2; found < count; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) prime &&= candidate % divisor !== 0;
    if (!prime) continue;
    const value = root === 2 ? Math.sqrt(candidate) : Math.cbrt(candidate);
    words[found++] = ((value - Math.floor(value)) * 0x1_0000_0000) | 0;
  }
  return words;
}
