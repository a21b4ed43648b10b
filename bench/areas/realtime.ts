import { createHub, createMemoryLog, type StreamSink } from '@cachekit/realtime';
import { type Figure, figure } from '../runner/figure.ts';
import { compare, measure, type Samples } from '../runner/measure.ts';

const streams = 1_000;
const event = {
  type: 'call.updated',
  tenant: 'acme',
  key: { id: '018f3c1e-7a52-7c39-b1f0-3d9f2f6b8a11' },
  data: {
    device: 'desk-17',
    status: 'answered',
    caller: '+55 11 98888-1234',
    campaign: 'Autumn renewal',
    note: 'ligação atendida, cliente pediu retorno amanhã',
    seconds: 83,
  },
};

/** One event to a thousand streams: encoded once, against a text that is made and encoded for each stream. */
export async function realtime(): Promise<Figure[]> {
  const hub = createHub({ log: createMemoryLog(), heartbeat: '1h' });
  const ours = Array.from({ length: streams }, () => new CountingSink());
  for (const sink of ours) {
    const { state } = await hub.connect({ tenant: 'acme', sink });
    if (state !== 'open') throw new Error('The hub refused a stream');
  }
  const peers = Array.from({ length: streams }, () => new CountingSink());
  const encoder = new TextEncoder();
  let id = 0;
  const naive = (): void => {
    id++;
    for (const sink of peers) {
      const body = JSON.stringify({ key: event.key, data: event.data });
      sink.write(encoder.encode(`id: ${id}\nevent: ${event.type}\ndata: ${body}\n\n`));
    }
  };
  const samples = await measure({
    contenders: [
      {
        name: 'ours',
        run: async (operations) => {
          const before = chunksOf(ours);
          for (let i = 0; i < operations; i++) await hub.publish([event]);
          expectAll(chunksOf(ours) - before, operations);
        },
      },
      {
        name: 'peer',
        run: async (operations) => {
          const before = chunksOf(peers);
          for (let i = 0; i < operations; i++) await naive();
          expectAll(chunksOf(peers) - before, operations);
        },
      },
    ],
  });
  await hub.close({ spread: 0 });
  const title = `fan-out to ${streams} streams to a text for each`;
  const compared = (what: keyof Samples) =>
    compare((samples.get('ours') as Samples)[what], (samples.get('peer') as Samples)[what]);
  return [
    figure(`${title}, us per event`, compared('timeUs'), { of: 'ratio', atMost: 0.25 }),
    figure(`${title}, us of CPU per event`, compared('cpuUs'), { of: 'ratio', atMost: 0.25 }),
  ];
}

/** A consumer that takes everything at once. */
class CountingSink implements StreamSink {
  readonly room: number = 262_144;
  chunks = 0;
  bytes = 0;

  write(chunk: Uint8Array): void {
    this.chunks++;
    this.bytes += chunk.byteLength;
  }

  end(): void {}

  abort(): void {}
}

function chunksOf(sinks: readonly CountingSink[]): number {
  return sinks.reduce((sum, { chunks }) => sum + chunks, 0);
}

function expectAll(written: number, events: number): void {
  if (written !== events * streams) {
    throw new Error(`${written} chunks for ${events} events and ${streams} streams`);
  }
}
