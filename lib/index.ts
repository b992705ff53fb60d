export {
  type ClosureProblem,
  type Reference,
} from './closure/closure-problem.js'
export {
  type ClosureOrder,
  type ClosureWalkOptions,
  walkClosure,
} from './closure/closure-walk.js'
export {
  type ErrorCode,
  type ErrorReaction,
  errorCodes,
} from './error-codes.js'
export {
  AccessRefusedError,
  AmbiguousRefError,
  CairnError,
  ConnectionLostError,
  CorruptObjectError,
  DestinationRefusedError,
  DriverRefusedError,
  type ErrorFacts,
  IncompleteClosureError,
  InvalidArchiveError,
  InvalidArgumentError,
  InvalidDigestError,
  InvalidObjectError,
  InvalidRepositoryError,
  InvalidSnapshotRootError,
  InvalidTagFileError,
  InvalidTagNameError,
  LimitExceededError,
  LocalChangesError,
  LockBusyError,
  NativeUnavailableError,
  NotRepresentableError,
  ObjectNotFoundError,
  PathNotFoundError,
  ProtocolViolationError,
  RefNotFoundError,
  RemoteExistsError,
  RemoteNotFoundError,
  RemoteRefusedError,
  RepositoryChangedError,
  RepositoryExistsError,
  RepositoryNotFoundError,
  SnapshotExistsError,
  SnapshotInUseError,
  SnapshotNotFoundError,
  SourceChangedError,
  SourceUnreadableError,
  StorageFullError,
  TagConflictError,
  TagNotFoundError,
  TimedOutError,
  WrongObjectTypeError,
  WrongSnapshotKindError,
} from './errors.js'
export {
  type Algorithm,
  type AlgorithmName,
  algorithms,
  findAlgorithmById,
  findAlgorithmByName,
} from './object/algorithm.js'
export {
  type Application,
  applicationDependencies,
  applicationTotals,
  decodeApplication,
  encodeApplication,
} from './object/application.js'
export { type ApplicationConfig } from './object/application-config.js'
export {
  type ApplicationExtension,
  type UnknownMember,
} from './object/application-extension.js'
export {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
  type ObjectLink,
  type SubObjectTotals,
  sameDescriptor,
} from './object/descriptor.js'
export {
  algorithmOf,
  type Digest,
  digestBytes,
  findDigest,
  findDigestBytes,
  parseDigest,
  parseDigestBytes,
} from './object/digest.js'
export {
  createDigester,
  createObjectDigester,
  type Digester,
  digestObject,
} from './object/digester.js'
export {
  compareEntries,
  type Directory,
  type DirectoryEntry,
  type DirectoryLink,
  decodeDirectory,
  directoryDependencies,
  encodeDirectory,
  totalsOf,
} from './object/directory.js'
export {
  escapeBytes,
  unescapeBytes,
} from './object/escape.js'
export {
  type EntryKind,
  fileMode,
  findKindOfMode,
  findModeOfStat,
  modeOf,
  permissionsOf,
} from './object/file-mode.js'
export { type HardLinkGroup } from './object/hard-links.js'
export {
  decodeHeader,
  encodeHeader,
  type Header,
  kindOfHeader,
  type Xattr,
} from './object/header.js'
export {
  type ModificationTime,
  ModificationTimesDecoder,
  ModificationTimesEncoder,
} from './object/modification-times.js'
export { type ObjectType } from './object/object-type.js'
export { type Strictness } from './object/strictness.js'
export {
  decodeTagList,
  encodeTagList,
  type Tag,
} from './object/tag-list.js'
export {
  findTagName,
  parseTagName,
  type TagName,
} from './object/tag-name.js'
export {
  readBundleFile,
  writeBundleFile,
} from './remote/bundle-file.js'
export {
  type CreateBundleOptions,
  createBundle,
  type NewBundle,
} from './remote/create-bundle.js'
export { DescriptorQueue } from './remote/descriptor-queue.js'
export { DescriptorStack } from './remote/descriptor-stack.js'
export { FolderSource } from './remote/folder-source.js'
export {
  type ImportBundleOptions,
  type ImportedBundle,
  importBundle,
} from './remote/import-bundle.js'
export { type Patience } from './remote/peer-watch.js'
export {
  type ProgressCount,
  ProgressMeter,
  type ProgressSnapshot,
} from './remote/progress-meter.js'
export {
  type PullOptions,
  type PullResult,
  pull,
} from './remote/pull.js'
export {
  type PushRequest,
  type PushResult,
  push,
} from './remote/push.js'
export { type ReceiveLimits } from './remote/receive-limits.js'
export {
  type ReceiveOptions,
  type ReceiveResult,
  receiveObjects,
} from './remote/receive-objects.js'
export {
  type FetchOptions,
  type PushedObjects,
  type PushOptions,
  RemoteObjectStore,
  type RemoteOptions,
  type TransferOptions,
} from './remote/remote-object-store.js'
export { RemoteSource } from './remote/remote-source.js'
export {
  type SendOptions,
  type SendResult,
  sendObjects,
} from './remote/send-objects.js'
export {
  type CheckOptions,
  checkRepository,
} from './repository/check/check-repository.js'
export {
  type Finding,
  type FindingKind,
  type Severity,
} from './repository/check/finding.js'
export { type Compression } from './repository/compression.js'
export {
  type RepositoryChoices,
  type RepositoryConfig,
  type StoreLayout,
} from './repository/config.js'
export { initRepository } from './repository/init.js'
export {
  type LockMode,
  type LockOptions,
  RepositoryLock,
} from './repository/lock.js'
export {
  type MigrationOptions,
  type MigrationReport,
  type MigrationTarget,
} from './repository/migrate/migrate-repository.js'
export { MountSet } from './repository/mount-set.js'
export {
  type OpenOptions,
  openRepository,
} from './repository/open.js'
export {
  type Remote,
  RemoteBook,
} from './repository/remote-book.js'
export {
  type HealingPlace,
  type HealingSource,
  type WantedObject,
} from './repository/repair/healing-source.js'
export { type ObjectUse } from './repository/repair/object-uses.js'
export { type QuarantinedItem } from './repository/repair/quarantine.js'
export {
  type RebuildOptions,
  type RebuildReport,
} from './repository/repair/rebuild-index.js'
export {
  type HealedObject,
  type RepairReport,
  type UnhealedFinding,
} from './repository/repair/repair-report.js'
export {
  type RepairOptions,
  repairRepository,
} from './repository/repair/repair-repository.js'
export { RepositorySource } from './repository/repair/repository-source.js'
export { Repository } from './repository/repository.js'
export {
  type BeginOptions,
  type RepositorySession,
} from './repository/repository-session.js'
export { type ResolvedRef } from './repository/resolve-ref.js'
export {
  type Root,
  type RootOptions,
} from './repository/roots.js'
export {
  type FoundSession,
  type SessionPurpose,
} from './repository/session-registry.js'
export { type TagLogEntry } from './repository/tag-history.js'
export {
  type TagLogKind,
  type TagLogRecord,
} from './repository/tag-log-record.js'
export {
  type SkippedTag,
  type TagChange,
  TagStore,
} from './repository/tag-store.js'
export { numberObjects, type ObjectNumbers } from './repository/usage/object-numbers.js'
export {
  type RepositoryStats,
  repositoryStats,
  type StatsOptions,
} from './repository/usage/repository-stats.js'
export {
  type TreeUsage,
  treeUsages,
  type UsageTally,
} from './repository/usage/tree-usage.js'
export { ContentsByCalls } from './snapshot/content/contents-by-calls.js'
export { HeldLayers } from './snapshot/content/held-layers.js'
export {
  type LoadedSnapshot,
  type LoadProgress,
  type LoadSnapshotOptions,
  loadSnapshot,
} from './snapshot/content/load-snapshot.js'
export {
  type LayerProblemObserver,
  RemoteSnapshotter,
} from './snapshot/content/remote-snapshotter.js'
export {
  type SavedSnapshot,
  type SaveProgress,
  type SaveSnapshotOptions,
  saveSnapshot,
} from './snapshot/content/save-snapshot.js'
export {
  type LoadOptions,
  type ShownSnapshot,
  type SnapshotContents,
} from './snapshot/content/snapshot-contents.js'
export { type DriverName } from './snapshot/driver/snapshot-driver.js'
export { type LocalSnapshotter } from './snapshot/local-snapshotter.js'
export {
  openSnapshotter,
  type SnapshotterOptions,
} from './snapshot/open-snapshotter.js'
export {
  repairSnapshots,
  type SnapshotRepairReport,
} from './snapshot/repair-snapshots.js'
export {
  type Labels,
  type Mount,
  type SnapshotInfo,
  type SnapshotKind,
  type Usage,
} from './snapshot/snapshot.js'
export {
  noSnapshot,
  parseSnapshotKey,
  type SnapshotKey,
  showSnapshotKey,
  snapshotKeyBytes,
} from './snapshot/snapshot-key.js'
export { type Recovery } from './snapshot/snapshot-root.js'
export {
  type CallOptions,
  type CommitOptions,
  type PrepareOptions,
  type Snapshotter,
  type UpdateOptions,
} from './snapshot/snapshotter.js'
export { Bitmap } from './store/bitmap.js'
export {
  LooseStore,
  type LooseStoreOptions,
  openLooseStore,
} from './store/loose-store.js'
export { MemoryStore } from './store/memory-store.js'
export {
  type ByteRange,
  type HeldObject,
  type NewObject,
  type NewStream,
  type ObjectInfo,
  type ObjectReader,
  type ObjectStore,
  type ObjectStream,
  type ObjectWriter,
  type Publishing,
  type PublishingGuard,
  type StoreSession,
  type StoreSessionOptions,
  type WholeObject,
} from './store/object-store.js'
export {
  getApplication,
  getDirectory,
  getHeader,
  putApplication,
  putDirectory,
  putHeader,
} from './store/typed-object.js'
export { applyLayer } from './tree/changes/apply-layer.js'
export {
  type FolderChangesOptions,
  folderChanges,
  type OverlayFolders,
  overlayChanges,
} from './tree/changes/folder-changes.js'
export {
  type ChangedNode,
  type LayerChange,
  type LayerChanges,
} from './tree/changes/layer-change.js'
export { layerSize } from './tree/changes/layer-size.js'
export { type OverlayNamespace } from './tree/changes/overlay-marks.js'
export {
  type StoredTreePart,
  treeChanges,
} from './tree/changes/tree-changes.js'
export {
  type MarkHandling,
  type UnpackLayerOptions,
  type UnpackLayerReport,
  unpackLayer,
} from './tree/changes/unpack-layer.js'
export {
  type WriteLayerOptions,
  type WriteLayerReport,
  writeLayer,
} from './tree/changes/write-layer.js'
export {
  type CheckoutMemory,
  type CheckoutOptions,
  type CheckoutProgress,
  type CheckoutReport,
  checkout,
  updateCheckout,
} from './tree/checkout/checkout.js'
export { type TreeRoot } from './tree/checkout/checkout-plan.js'
export {
  type LeftOut,
  type LeftOutKind,
} from './tree/checkout/left-out.js'
export {
  type OwnerMap,
  parseOwnerMap,
} from './tree/checkout/owner-map.js'
export { RecordBook } from './tree/checkout/update/record-book.js'
export {
  type ComparedPart,
  type CompareOptions,
  compareFolders,
  type FolderComparison,
  type FolderDifference,
} from './tree/compare-folders.js'
export {
  type ChangedPart,
  type DiffOptions,
  diffTrees,
  type TreeChange,
} from './tree/diff.js'
export {
  type ListOptions,
  listTree,
  type TreeEntry,
} from './tree/list.js'
export {
  type RehashOptions,
  type RehashProgress,
  rehashApplication,
} from './tree/rehash.js'
export { HashingSession } from './tree/source/hashing-session.js'
export {
  StatCache,
  type StatCacheParts,
} from './tree/source/stat-cache/stat-cache.js'
export { storeApplication } from './tree/source/store-application.js'
export { storeDirectory } from './tree/source/store-directory.js'
export { storeFile } from './tree/source/store-file.js'
export {
  type StoredTree,
  type StoreOptions,
  type StoreProgress,
  type StoreStats,
  type WalkOptions,
} from './tree/source/store-options.js'
export {
  exportTar,
  type TarExportOptions,
  type TarExportReport,
  type TarProgress,
} from './tree/tar/export-tar.js'
export {
  importTar,
  type TarImportOptions,
  type TarImportReport,
} from './tree/tar/import-tar.js'
export { type BaseTree } from './tree/tar/stored-tree.js'
export {
  resolveTreePath,
  type TreeNode,
} from './tree/tree-path.js'
