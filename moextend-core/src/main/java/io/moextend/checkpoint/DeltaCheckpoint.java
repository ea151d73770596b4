package io.moextend.checkpoint;

import io.moextend.checkpoint.DeltaListing.Stored;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The tensors that training made or changed, and the fingerprint of the base they belong to:
 * delta.json, and delta.safetensors or, where several ranks wrote it,
 * delta-0000R-of-0000N.safetensors. Not named model.safetensors, so that no loader takes it for a
 * whole model and makes up the rest, as the published code did (it saved the trained tensors alone
 * and the next stage started from a random model).
 *
 * <p>Every tensor's bytes are compared with their checksum when it is first asked for. Usable from
 * several threads.
 */
public final class DeltaCheckpoint implements WeightSource {
  private static final String STEM = "delta";

  private final Path folder;
  private final DeltaListing listing;
  private final Map<String, SafetensorsFile> files = new TreeMap<>();
  private final Set<String> verified = ConcurrentHashMap.newKeySet();

  private DeltaCheckpoint(Path folder, DeltaListing listing) {
    this.folder = folder;
    this.listing = listing;
  }

  /**
   * Writes into a folder that exists, best that of an {@link AtomicFolder}.
   *
   * @param tensors those that are trained, and no others
   * @throws CheckpointException where the folder holds a delta already or the disk refuses
   */
  public static void write(Path folder, Fingerprint base, Collection<TensorStream> tensors) {
    writeShare(folder, 0, 1, tensors);
    seal(folder, base, List.copyOf(tensors), 1);
  }

  /**
   * Writes one rank's share of the tensors; nothing where there are fewer tensors than ranks. When
   * every rank has written, one of them calls {@link #seal}.
   *
   * @param tensors all of them, in the same order on every rank
   * @throws CheckpointException as {@link #write}
   */
  public static void writeShare(
      Path folder, int rank, int world, Collection<TensorStream> tensors) {
    int shares = shares(tensors, world);
    if (rank < shares) {
      var mine = EvenShares.of(tensors, TensorStream::bytes, shares).get(rank);
      String name = name(rank, shares);
      var sums = SafetensorsWriter.writeFile(folder.resolve(PieceFiles.weights(name)), mine);
      Checksums.of(sums).write(partial(folder, name));
    }
  }

  /** Writes delta.json from what the shares' writers left beside their files. */
  public static void seal(
      Path folder, Fingerprint base, Collection<TensorStream> tensors, int world) {
    int shares = shares(tensors, world);
    var stored = new TreeMap<String, Stored>();
    for (int rank = 0; rank < shares; rank++) {
      String name = name(rank, shares);
      Path sums = partial(folder, name);
      Checksums.read(sums)
          .crc32c()
          .forEach((tensor, sum) -> stored.put(tensor, new Stored(PieceFiles.weights(name), sum)));
      try {
        Files.delete(sums);
      } catch (IOException e) {
        throw AtomicFolder.failure(sums, e);
      }
    }
    DeltaListing.of(base, stored).write(folder);
  }

  private static int shares(Collection<TensorStream> tensors, int world) {
    return Math.max(1, Math.min(world, tensors.size()));
  }

  private static String name(int rank, int shares) {
    return shares == 1 ? STEM : PieceFiles.name(STEM, rank, shares);
  }

  private static Path partial(Path folder, String name) {
    return folder.resolve(name + ".sums.json");
  }

  /**
   * @throws CheckpointException where the folder holds no delta, or its files do not fit
   */
  public static DeltaCheckpoint open(Path folder) {
    if (!isIn(folder)) {
      throw new CheckpointException(
          folder
              + ": holds no "
              + DeltaListing.FILE
              + " and is no delta; leave out --base for a whole model");
    }
    var delta = new DeltaCheckpoint(folder, DeltaListing.read(folder));
    try {
      delta.listing.files().forEach(delta::openFile);
      return delta;
    } catch (RuntimeException e) {
      delta.close();
      throw e;
    }
  }

  private void openFile(String name) {
    Path path = CheckpointFolder.inside(folder, name, folder.resolve(DeltaListing.FILE));
    if (!Files.isRegularFile(path)) {
      throw new CheckpointException(
          "%s: is missing, %s names it; copy all files of the delta"
              .formatted(path, DeltaListing.FILE));
    }
    SafetensorsFile file = SafetensorsFile.open(path);
    files.put(name, file);
    var wanted = new TreeMap<>(listing.tensors());
    wanted.values().removeIf(stored -> !stored.file().equals(name));
    if (!file.names().equals(wanted.keySet())) {
      throw new CheckpointException(
          "%s: %s and %s name different tensors; copy all files of one delta"
              .formatted(folder, DeltaListing.FILE, name));
    }
  }

  /** Whether a folder holds a delta. */
  public static boolean isIn(Path folder) {
    return DeltaListing.isIn(folder);
  }

  /**
   * The base a delta in this folder belongs to.
   *
   * @throws CheckpointException where delta.json cannot be read
   */
  public static Fingerprint baseOf(Path folder) {
    return DeltaListing.read(folder).base();
  }

  /** The weights it changes. */
  public Fingerprint base() {
    return listing.base();
  }

  @Override
  public Set<String> names() {
    return listing.tensors().keySet();
  }

  @Override
  public TensorData tensor(String name) {
    Stored stored = listing.tensors().get(name);
    SafetensorsFile file = stored == null ? null : files.get(stored.file());
    if (stored == null || file == null) {
      throw CheckpointException.ofTensor(origin(), name, "is not in this delta");
    }
    TensorData tensor = file.tensor(name);
    if (!verified.contains(name)) {
      Checksums.require(file.path(), tensor, stored.crc32c(), folder.resolve(DeltaListing.FILE));
      verified.add(name);
    }
    return tensor;
  }

  @Override
  public String origin() {
    return files.size() == 1
        ? files.values().iterator().next().origin()
        : folder.resolve(DeltaListing.FILE).toString();
  }

  @Override
  public void close() {
    files.values().forEach(SafetensorsFile::close);
  }
}
