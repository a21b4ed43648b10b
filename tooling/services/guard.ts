import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * The shell that outlives this process by a moment. It reads orders from a pipe; when the pipe closes, however this
 * process ended (return, Ctrl-C, crash, SIGKILL), it stops what is still watched and removes the folders. It runs in
 * its own session, so the Ctrl-C of a terminal reaches neither the guard nor the servers.
 */
const script = `
trap '' INT TERM HUP QUIT
watched=''
folders=''
without() { # $1: one entry a line, $2: the entry to leave out
  printf '%s' "$1" | while IFS= read -r entry; do [ "$entry" = "$2" ] || printf '%s\\n' "$entry"; done
  printf .
}
alive() { # $1: a process id; one that nobody has reaped yet counts as gone
  kill -0 "$1" || return 1
  [ -r "/proc/$1/stat" ] || return 0
  IFS= read -r stat <"/proc/$1/stat" || return 1
  case $stat in *') Z '*) return 1 ;; esac
}
while IFS= read -r line; do
  value=\${line#* }
  case $line in
    'watch '*) watched="$watched$value
" ;;
    'forget '*) watched=$(without "$watched" "$value"); watched=\${watched%.} ;;
    'folder '*) folders="$folders$value
" ;;
    'removed '*) folders=$(without "$folders" "$value"); folders=\${folders%.} ;;
  esac
done
for entry in $watched; do
  kill -s "\${entry%%:*}" "\${entry#*:}"
  kill -s CONT "\${entry#*:}"
done
left=200
while [ "$left" -gt 0 ]; do
  some=''
  for entry in $watched; do alive "\${entry#*:}" && some=yes; done
  [ -n "$some" ] || break
  left=$((left - 1))
  sleep 0.05
done
for entry in $watched; do alive "\${entry#*:}" && kill -s KILL "\${entry#*:}"; done
printf '%s' "$folders" | while IFS= read -r folder; do [ -z "$folder" ] || rm -rf -- "$folder"; done
`;

let guard: ChildProcess | undefined;

/** Tells the guard, starting it at the first order. Orders are lines, so a path with a newline is refused. */
function order(line: string): void {
  if (line.includes('\n'))
    throw new Error(`A path with a line break cannot be guarded: ${JSON.stringify(line)}`);
  if (guard === undefined) {
    guard = spawn('/bin/sh', ['-c', script], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    guard.on('error', () => {});
    guard.stdin?.on('error', () => {});
    guard.unref();
    (guard.stdin as Socket).unref();
  }
  guard.stdin?.write(`${line}\n`);
}

/** Starts the guard ahead of what it is to guard, so that no time lies between a server's start and its watch. */
export function readyGuard(): void {
  order('ready');
}

/** Has the process `pid` ended by `signal` (without "SIG") when this process ends. */
export function watchProcess(pid: number, signal: string): void {
  order(`watch ${signal}:${pid}`);
}

/** Takes back {@link watchProcess}: the process has exited, and its id may belong to another one soon. */
export function forgetProcess(pid: number, signal: string): void {
  order(`forget ${signal}:${pid}`);
}

/** Has a folder removed when this process ends. */
export function watchFolder(path: string): void {
  order(`folder ${path}`);
}

/** Takes back {@link watchFolder}. */
export function forgetFolder(path: string): void {
  order(`removed ${path}`);
}
