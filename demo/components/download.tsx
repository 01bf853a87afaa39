/** Gives the visitor a file that the page made. */
export function saveFile(name: string, data: BlobPart): void {
  const url = URL.createObjectURL(new Blob([data]));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function Download({
  name,
  data,
  title,
}: {
  readonly name: string;
  readonly data: BlobPart;
  readonly title: string;
}) {
  return (
    <button type="button" onClick={() => saveFile(name, data)}>
      {title}
    </button>
  );
}
