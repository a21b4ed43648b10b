import type { ReactNode } from 'react';
import { formatMs } from '../format.ts';
import type { Answer } from '../use-api.ts';

interface CardProps {
  title: string;
  hint: string;
  answer?: Answer<unknown> | undefined;
  /** Whether this server runs without what the card needs. */
  off?: boolean;
  children: ReactNode;
}

/** A panel that says from where its data came: the badge is the server's `X-Cache` and how long the answer took. */
export function Card({ title, hint, answer, off = false, children }: CardProps) {
  return (
    <section className="card" aria-label={title} data-off={off}>
      <header>
        <h2>{title}</h2>
        <p className="hide-narrow">{hint}</p>
        {answer && (
          <span
            className="badge"
            data-cache={answer.cache}
            title="Answer of the server's cache, and how long it took"
          >
            {answer.cache || 'live'} · {formatMs(answer.tookMs)}
          </span>
        )}
        {off && <span className="badge">off</span>}
      </header>
      {off ? <p className="empty">Needs Redis, and this server runs without it.</p> : children}
    </section>
  );
}
