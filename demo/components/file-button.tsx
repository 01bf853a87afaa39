import { useRef } from 'preact/hooks';

/** A button that opens the browser's file dialog. */
export function FileButton({
  title,
  label,
  accept,
  onFile,
  ...rest
}: {
  readonly title: string;
  /** What is asked for, for screen readers. */
  readonly label: string;
  readonly accept: string;
  readonly onFile: (file: File) => void;
  readonly class?: string;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" {...rest} onClick={() => input.current!.click()}>
        {title}
      </button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        aria-label={label}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          // The same file may be chosen again.
          event.currentTarget.value = '';
          if (file) onFile(file);
        }}
      />
    </>
  );
}
