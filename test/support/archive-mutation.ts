import { gzipSync } from 'node:zlib'
import { blockBytes } from '../../lib/tree/tar/tar-format.js'
import { archive, extension, forged, member, pax } from './raw-archive.js'

/** A number from 0 to 1. */
type Random = () => number

const longName = `${'long-name/'.repeat(30)}end`

/** Entries of every kind, valid and hostile: what mutations start from. */
export function seedMembers(outside: string): readonly Buffer[] {
  const attribute = { key: Buffer.from('user.a'), value: Buffer.from([0, 255]) }
  return [
    member('./', 'directory'),
    member('a/', 'directory', { permissions: 0o700, xattrs: [attribute] }),
    member('a/file', 'regular', { content: 'content of a file' }),
    member('a/large', 'regular', { content: Buffer.alloc(3000, 'x') }),
    member('a/hard', 'hard-link', { target: 'a/file' }),
    member('a/soft', 'symlink', { target: 'file' }),
    member('out', 'symlink', { target: outside }),
    member('up', 'symlink', { target: '..' }),
    member('out/secret', 'regular', { content: 'hostile' }),
    member('up/outside/secret', 'regular', { content: 'hostile' }),
    member('../outside/secret', 'regular', { content: 'hostile' }),
    member('steal', 'hard-link', { target: 'out/secret' }),
    member('a', 'symlink', { target: outside }),
    member('a', 'regular', { content: 'a file now' }),
    member('.wh.a', 'regular'),
    member('a/.wh..wh..opq', 'regular'),
    member('out/.wh.secret', 'regular'),
    member('pipe', 'fifo'),
    member('null', 'char-device', { rdev: 0x103 }),
    member('disk', 'block-device', { rdev: 0x801 }),
    member(longName, 'regular', { content: 'x' }),
    Buffer.concat([extension('L', `${longName}\0`), member('cut', 'regular')]),
    Buffer.concat([
      extension('K', `${longName}\0`),
      member('k', 'symlink', { target: 'x' }),
    ]),
    extension('g', '16 comment=text\n'),
    Buffer.concat([
      pax([
        ['mtime', '1.5'],
        ['uid', '70000'],
        ['SCHILY.acl.access', 'user::rw-,user:1:r--:1,mask::r--'],
      ]),
      member('timed', 'regular'),
    ]),
    Buffer.concat([
      pax([
        ['GNU.sparse.size', '100000'],
        ['GNU.sparse.map', '5,2,50000,3'],
      ]),
      member('sparse', 'regular', { content: 'abcde' }),
    ]),
    Buffer.concat([
      pax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 'sparse-1'],
        ['GNU.sparse.realsize', '9000'],
      ]),
      member('x', 'regular', {
        content: Buffer.concat([
          Buffer.from('1\n10\n3\n'.padEnd(512, '\0')),
          Buffer.from('abc'),
        ]),
      }),
    ]),
    forged(member('old-sparse', 'regular', { content: 'abc' }), {
      156: 'S',
      257: 'ustar  \0',
      386: '00000000012\x0000000000003\0',
      483: '00000001000\0',
    }),
  ]
}

/** Makes an archive of some entries, in any order, and damages it. */
export function mutateArchive(seeds: readonly Buffer[], random: Random): Buffer {
  const below = (limit: number): number => Math.floor(random() * limit)
  const members: Buffer[] = []
  for (let count = 1 + below(8); count > 0; count--) {
    const seed = seeds[below(seeds.length)]
    if (seed !== undefined) members.push(Buffer.from(seed))
  }
  for (let changes = below(5); changes > 0; changes--) {
    const at = below(members.length)
    const found = members[at]
    if (found !== undefined) members[at] = damage(found, random)
  }
  const whole = archive(...members)
  const cut = random() < 0.1 ? whole.subarray(0, below(whole.length)) : whole
  return random() < 0.05 ? damage(gzipSync(cut), random) : cut
}

const interesting = [
  '\0',
  '/',
  '../',
  './',
  '.wh.',
  '.wh..wh..opq',
  '77777777777\0',
  '\x80\0\0\0\xff\xff\xff\xff',
  '\xff\xff\xff\xff\xff\xff\xff\xff',
  '00000000000\0',
  '-1',
  '9007199254740993',
  '12 path=../x\n',
  '5',
  '1',
  '2',
  'x',
  'S',
]

function damage(bytes: Buffer, random: Random): Buffer {
  const below = (limit: number): number => Math.floor(random() * Math.max(1, limit))
  const copy = Buffer.from(bytes)
  const start = random() < 0.5 ? below(copy.length) : fieldOffset(random, copy.length)
  switch (below(6)) {
    case 0:
      copy[start] = below(256)
      break
    case 1:
      copy[start] = (copy[start] ?? 0) ^ (1 << below(8))
      break
    case 2:
      Buffer.from(interesting[below(interesting.length)] ?? '', 'latin1').copy(
        copy,
        start,
      )
      break
    case 3:
      copy.copyWithin(start, below(copy.length), below(copy.length))
      break
    case 4:
      return Buffer.concat([copy.subarray(0, start), copy.subarray(start + below(600))])
    default: {
      const piece = copy.subarray(start, start + below(600))
      return Buffer.concat([copy.subarray(0, start), piece, copy.subarray(start)])
    }
  }
  // Mostly the checksum is right again: else nothing behind it would ever be tried.
  return random() < 0.9 ? repaired(copy, start) : copy
}

const fieldOffsets = [
  0, 100, 108, 116, 124, 136, 156, 157, 257, 329, 337, 345, 386, 482, 483,
]

function fieldOffset(random: Random, length: number): number {
  const block = Math.floor((random() * length) / blockBytes) * blockBytes
  const field = fieldOffsets[Math.floor(random() * fieldOffsets.length)] ?? 0
  return Math.min(block + field, Math.max(0, length - 1))
}

// The block that was changed may be a header, or the content behind one.
function repaired(bytes: Buffer, at: number): Buffer {
  const start = at - (at % blockBytes)
  const block = bytes.subarray(start, start + blockBytes)
  if (block.length < blockBytes || block.toString('latin1', 257, 262) !== 'ustar')
    return bytes
  forged(block, {}).copy(bytes, start)
  return bytes
}
