package io.moextend.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The tensors that training made or changed, and the fingerprint of the base they belong to:
 * delta.json and delta.safetensors. Not named model.safetensors, so that no loader takes it for a
 * whole model and makes up the rest, as the published code did (it saved the trained tensors alone
 * and the next stage started from a random model).
 */
public final class DeltaCheckpoint implements WeightSource {
  static final String LISTING = "delta.json";
  static final String WEIGHTS = "delta.safetensors";
  private static final int VERSION = 1;

  /** delta.json. */
  record Listing(int formatVersion, Fingerprint base, List<String> tensors) {
    Listing {
      if (formatVersion != VERSION) {
        throw new CheckpointException(
            "formatVersion %d is not known, %d is; take a newer moextend"
                .formatted(formatVersion, VERSION));
      }
      tensors = List.copyOf(tensors);
    }
  }

  private final SafetensorsFile file;
  private final Fingerprint base;

  private DeltaCheckpoint(SafetensorsFile file, Fingerprint base) {
    this.file = file;
    this.base = base;
  }

  /**
   * Writes into a folder that exists, best that of an {@link AtomicFolder}.
   *
   * @param tensors those that are trained, and no others
   * @throws CheckpointException where the folder holds a delta already or the disk refuses
   */
  public static void write(Path folder, Fingerprint base, Collection<TensorStream> tensors) {
    SafetensorsWriter.writeFile(folder.resolve(WEIGHTS), tensors);
    var names = new TreeSet<String>();
    tensors.forEach(tensor -> names.add(tensor.name()));
    JsonFile.write(folder.resolve(LISTING), new Listing(VERSION, base, new ArrayList<>(names)));
  }

  /**
   * @throws CheckpointException where the folder holds no delta, or its two files do not fit
   */
  public static DeltaCheckpoint open(Path folder) {
    if (!isIn(folder)) {
      throw new CheckpointException(
          folder
              + ": holds no "
              + LISTING
              + " and is no delta; leave out --base for a whole model");
    }
    Listing listing = listing(folder);
    var file = SafetensorsFile.open(CheckpointFolder.inside(folder, WEIGHTS, folder));
    if (!file.names().equals(Set.copyOf(listing.tensors()))) {
      file.close();
      throw new CheckpointException(
          "%s: %s and %s name different tensors; copy both files of one delta"
              .formatted(folder, LISTING, WEIGHTS));
    }
    return new DeltaCheckpoint(file, listing.base());
  }

  /** Whether a folder holds a delta. */
  public static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(LISTING));
  }

  /**
   * The base a delta in this folder belongs to.
   *
   * @throws CheckpointException where delta.json cannot be read
   */
  public static Fingerprint baseOf(Path folder) {
    return listing(folder).base();
  }

  private static Listing listing(Path folder) {
    return JsonFile.read(CheckpointFolder.inside(folder, LISTING, folder), Listing.class);
  }

  /** The weights it changes. */
  public Fingerprint base() {
    return base;
  }

  @Override
  public Set<String> names() {
    return file.names();
  }

  @Override
  public TensorData tensor(String name) {
    return file.tensor(name);
  }

  @Override
  public String origin() {
    return file.origin();
  }

  @Override
  public void close() {
    file.close();
  }
}
