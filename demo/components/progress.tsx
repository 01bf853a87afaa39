/** A determinate progress bar with its own name. Always takes its place, so that nothing moves when work begins. */
export function Progress({
  label,
  done,
  total,
}: {
  readonly label: string;
  readonly done: number;
  readonly total: number;
}) {
  return <progress aria-label={label} max={total || 1} value={done} />;
}
