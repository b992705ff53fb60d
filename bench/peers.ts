import type { Tool } from './tool.js'

// It refuses devices, also when told to skip them: so it is spared all of /dev.
const ostreeCommit = (tree: string, branch: string, repo: string): string =>
  `echo /dev > ${repo}.skip; ostree --repo=${repo} commit -b ${branch} ` +
  `--tree=dir=${tree} $([ -d ${tree}/dev ] && echo --skip-list=${repo}.skip)`

function ostree(mode: string, checkoutFlags: string): Tool {
  return {
    name: `ostree ${mode}`,
    program: 'ostree',
    durable: true,
    rival: true,
    init: ({ repo }) => `ostree --repo=${repo} init --mode=${mode}`,
    store: ({ repo, tree }) => ostreeCommit(tree, 'first', repo),
    upgrade: ({ repo, next }) => ostreeCommit(next, 'second', repo),
    checkout: ({ repo, out }) =>
      `ostree --repo=${repo} checkout ${checkoutFlags} first ${out}`,
    verify: ({ repo }) => `ostree --repo=${repo} fsck -q`,
    forget: ({ repo }) => `ostree --repo=${repo} refs --delete first`,
    collect: ({ repo }) => `ostree --repo=${repo} prune --refs-only --depth=0`,
  }
}

const firstSnapshot = (repo: string): string =>
  `$(restic -r ${repo} snapshots --json | grep -o '"short_id":"[^"]*' | head -1 | cut -d'"' -f4)`

function restic(name: string, compression: string): Tool {
  const backup = (tree: string, repo: string) =>
    `cd ${tree} && restic -q -r ${repo} --compression ${compression} backup .`
  return {
    name,
    program: 'restic',
    durable: true,
    rival: true,
    environment: ({ repo }) =>
      `export RESTIC_PASSWORD=x RESTIC_CACHE_DIR=${repo}.cache TMPDIR=$(dirname ${repo})`,
    init: ({ repo }) => `restic -q -r ${repo} init`,
    store: ({ repo, tree }) => backup(tree, repo),
    upgrade: ({ repo, next }) => backup(next, repo),
    checkout: ({ repo, out }) => `restic -q -r ${repo} restore latest --target ${out}`,
    verify: ({ repo }) => `restic -q -r ${repo} check --read-data`,
    forget: ({ repo }) => `restic -q -r ${repo} forget ${firstSnapshot(repo)}`,
    collect: ({ repo }) => `restic -q -r ${repo} prune`,
  }
}

function borg(name: string, compression: string): Tool {
  const create = (tree: string, repo: string, archive: string) =>
    `cd ${tree} && borg create -C ${compression} ${repo}::${archive} .`
  return {
    name,
    program: 'borg',
    durable: true,
    rival: true,
    environment: ({ repo }) =>
      `export BORG_BASE_DIR=${repo}.base BORG_RELOCATED_REPO_ACCESS_IS_OK=yes ` +
      'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_DELETE_I_KNOW_WHAT_I_AM_DOING=YES',
    init: ({ repo }) => `borg init -e none ${repo}`,
    store: ({ repo, tree }) => create(tree, repo, '$(date +%s%N)'),
    upgrade: ({ repo, next }) => create(next, repo, 'second'),
    checkout: ({ repo, out }) =>
      `mkdir ${out} && cd ${out} && borg extract ${repo}::$(borg list --short --first 1 ${repo})`,
    verify: ({ repo }) => `borg check --verify-data ${repo}`,
    forget: ({ repo }) => `borg delete --glob-archives '[0-9]*' ${repo}`,
    collect: ({ repo }) => `borg compact ${repo}`,
  }
}

const casync: Tool = {
  name: 'casync',
  program: 'casync',
  durable: false,
  rival: true,
  init: ({ repo }) => `mkdir ${repo}`,
  store: ({ repo, tree }) =>
    `casync make --store=${repo}/store.castr ${repo}/first.caidx ${tree}`,
  upgrade: ({ repo, next }) =>
    `casync make --store=${repo}/store.castr ${repo}/second.caidx ${next}`,
  checkout: ({ repo, out }) =>
    `casync extract --store=${repo}/store.castr ${repo}/first.caidx ${out}`,
  forget: ({ repo }) => `rm ${repo}/first.caidx`,
  collect: ({ repo }) => `casync gc --store=${repo}/store.castr ${repo}/second.caidx`,
}

const gitCommit = (tree: string, repo: string): string =>
  `export GIT_DIR=${repo} GIT_WORK_TREE=${tree}; cd ${tree} && git add -A -f . && ` +
  'git commit -q --allow-empty -m x'

const git: Tool = {
  name: 'git',
  program: 'git',
  durable: false,
  rival: true,
  environment: ({ repo }) =>
    `export GIT_CONFIG_GLOBAL=${repo}.config GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x ` +
    'GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x',
  init: ({ repo }) =>
    `git config --file ${repo}.config gc.auto 0; ` +
    `git config --file ${repo}.config advice.addEmbeddedRepo false; ` +
    `git config --file ${repo}.config safe.directory '*'; ` +
    `git init -q --bare ${repo}; git -C ${repo} config core.bare false; ` +
    // It compresses what it writes to the network later; here that is time lost.
    `git -C ${repo} config core.compression 0`,
  store: ({ repo, tree }) => gitCommit(tree, repo),
  upgrade: ({ repo, next }) => gitCommit(next, repo),
  checkout: ({ repo, out }) =>
    `mkdir ${out}; export GIT_DIR=${repo} GIT_INDEX_FILE=${repo}.index; ` +
    `git read-tree HEAD && git checkout-index -a --prefix=${out}/`,
  verify: ({ repo }) => `git -C ${repo} fsck --full --no-dangling`,
  forget: ({ repo }) =>
    `export GIT_DIR=${repo}; git update-ref HEAD $(git commit-tree -m x HEAD^{tree})`,
  collect: ({ repo }) =>
    `export GIT_DIR=${repo}; git reflog expire --expire=now --all; git gc -q --prune=now`,
}

const tar: Tool = {
  name: 'tar',
  program: 'tar',
  durable: false,
  rival: false,
  init: ({ repo }) => `mkdir ${repo}`,
  store: ({ repo, tree }) => `tar --xattrs --acls -C ${tree} -cf ${repo}/first.tar .`,
  upgrade: ({ repo, next }) => `tar --xattrs --acls -C ${next} -cf ${repo}/second.tar .`,
  checkout: ({ repo, out }) =>
    `mkdir ${out} && tar --xattrs --acls -C ${out} -xpf ${repo}/first.tar`,
}

const cp: Tool = {
  name: 'cp -a',
  program: 'cp',
  durable: false,
  rival: false,
  init: ({ repo }) => `mkdir ${repo}`,
  store: ({ repo, tree }) => `cp -a ${tree} ${repo}/$(date +%s%N)`,
  checkout: ({ repo, out }) => `cp -a ${repo}/$(ls ${repo} | head -1) ${out}`,
}

const rsync: Tool = {
  name: 'rsync',
  program: 'rsync',
  durable: false,
  rival: false,
  init: ({ repo }) => `mkdir ${repo}`,
  store: ({ repo, tree }) => `rsync -aHAX --delete ${tree}/ ${repo}/copy/`,
  upgrade: ({ repo, next }) => `rsync -aHAX --delete ${next}/ ${repo}/copy/`,
  checkout: ({ repo, out }) => `rsync -aHAX ${repo}/copy/ ${out}/`,
  update: ({ repo, out }) => `rsync -aHAX --delete ${repo}/copy/ ${out}/`,
}

/** What others use. */
export const peers: readonly Tool[] = [
  ostree('bare-user', '-U -C'),
  ostree('bare', '-C'),
  ostree('archive', '-U'),
  restic('restic', 'auto'),
  restic('restic uncompressed', 'off'),
  borg('borg', 'lz4'),
  borg('borg uncompressed', 'none'),
  casync,
  git,
  tar,
  cp,
  rsync,
]
