/** Tells how far a task is: on one line of a terminal, else only when a task begins and ends. */
export function progressLine(): (task: string, detail: string) => void {
  let shown = '';
  return (task, detail) => {
    if (process.stdout.isTTY)
      process.stdout.write(
        `${task === shown || shown === '' ? '\r\u001b[2K' : '\n'}  ${task.padEnd(14)}${detail}`,
      );
    else if (task !== shown || detail === '100 %') console.log(`  ${task.padEnd(14)}${detail}`);
    shown = task;
  };
}
