import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';

/** A button that opens the browser's file dialog. */
export function FileButton({
  title,
  label,
  accept,
  onFile,
  onFiles,
  ...rest
}: {
  readonly title: ComponentChildren;
  /** What is asked for, for screen readers. */
  readonly label: string;
  readonly accept: string;
  readonly onFile?: (file: File) => void;
  /** Several may be chosen. */
  readonly onFiles?: (files: readonly File[]) => void;
  readonly class?: string | undefined;
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
        multiple={onFiles !== undefined}
        hidden
        aria-label={label}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          // The same file may be chosen again.
          event.currentTarget.value = '';
          if (files.length === 0) return;
          onFiles?.(files);
          onFile?.(files[0]);
        }}
      />
    </>
  );
}
