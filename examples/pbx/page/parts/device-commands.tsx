import { useState } from 'react';
import { type CommandName, commandNames, type Device, type SentCommand } from '../api.ts';
import { formatTime } from '../format.ts';
import { useLive } from '../live.tsx';
import { type Sent, send } from '../send.ts';
import { useApi } from '../use-api.ts';
import { useShared } from '../use-parts.ts';
import { Card } from './card.tsx';

const labels: Record<CommandName, string> = { ring: 'Ring', restart: 'Restart', update: 'Update' };
const shownCommands = 5;

type LoggedCommand = SentCommand & { at: string };

/** Ten commands a minute for each device: the eleventh is answered with 429 and the time to wait. */
export function DeviceCommands({ device }: { device: Device | undefined }) {
  const { account } = useLive();
  const [result, setResult] = useState<{ deviceId: string; sent: Sent<SentCommand> }>();
  const id = device?.id ?? '';
  const { data } = useApi<{ commands: LoggedCommand[] }>(`commands ${id}`, `/api/devices/${id}/commands`, {
    enabled: useShared() === true && id !== '',
  });

  const sendTo = async (deviceId: string, command: CommandName): Promise<void> => {
    const sent = await send<SentCommand>('POST', `/api/devices/${deviceId}/commands`, account, { command });
    setResult({ deviceId, sent });
  };

  const shown = result?.deviceId === id ? result.sent : undefined;
  return (
    <Card
      title="Commands"
      hint={device ? `to ${device.name}, ten a minute` : 'choose a device'}
      answer={data}
    >
      <div className="commands">
        {commandNames.map((command) => (
          <button
            key={command}
            type="button"
            className="button quiet"
            disabled={!device}
            onClick={() => {
              void sendTo(id, command);
            }}
          >
            {labels[command]}
          </button>
        ))}
        <output data-denied={shown !== undefined && shown.body === undefined}>
          {shown ? sentence(shown) : device ? `${device.name} is chosen` : 'Choose a device above.'}
        </output>
      </div>
      <ul className="lines">
        {(data?.body.commands ?? []).slice(0, shownCommands).map(({ command, fencingToken, at }) => (
          <li key={fencingToken}>
            <span className="grow">{labels[command]}</span>
            <span className="soft hide-narrow">fencing token {fencingToken}</span>
            <time dateTime={at}>{formatTime(at)}</time>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function sentence({ body, status, error, remaining, retryAfterSeconds }: Sent<SentCommand>): string {
  if (body) return `Sent; ${remaining ?? '?'} left this minute`;
  return status === 429 ? `Refused: wait ${retryAfterSeconds ?? '?'} s` : error;
}
