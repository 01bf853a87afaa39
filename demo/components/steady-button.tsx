import type { ComponentProps } from 'preact';

/** A button whose label changes: always as wide as the widest of them, so that nothing beside it moves. */
export function SteadyButton({
  label,
  others,
  ...rest
}: {
  readonly label: string;
  /** What else it may say. */
  readonly others: readonly string[];
} & Omit<ComponentProps<'button'>, 'label' | 'type' | 'children'>) {
  return (
    <button type="button" {...rest}>
      <span class="steady">
        <span>{label}</span>
        {others
          .filter((other) => other !== label)
          .map((other) => (
            <span key={other} class="unsaid" aria-hidden="true">
              {other}
            </span>
          ))}
      </span>
    </button>
  );
}
