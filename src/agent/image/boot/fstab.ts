/** The deployed system's own list of mounts: it learns of the EFI system partition that was made for it. */
import { inside, rewrite, textOf } from './image-tree.ts'

/** Does nothing for an image without such a list. */
export async function addToFstab(
  root: string,
  { uuid, mountPoint }: { uuid: string; mountPoint: string },
): Promise<void> {
  const path = await inside(root, 'etc/fstab')
  const text = await textOf(root, 'etc/fstab')
  if (path === null || text === null) return
  await rewrite(path, withEsp(text, { uuid, mountPoint }))
}

/** An older entry for the same place names a partition of the machine that the image was made on. */
export function withEsp(fstab: string, { uuid, mountPoint }: { uuid: string; mountPoint: string }): string {
  const kept = fstab
    .split('\n')
    .map(line => (/^[^#\s]\S*\s+(\S+)/.exec(line)?.[1] === mountPoint ? `# ${line}` : line))
    .join('\n')
  const end = kept === '' || kept.endsWith('\n') ? '' : '\n'
  return `${kept}${end}UUID=${uuid}\t${mountPoint}\tvfat\tumask=0077\t0\t1\n`
}
