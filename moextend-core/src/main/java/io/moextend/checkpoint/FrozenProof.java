package io.moextend.checkpoint;

import io.moextend.array.DType;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What tensors were at one moment, to prove later that they did not move: frozen.json.
 *
 * @param formatVersion 1
 */
public record FrozenProof(int formatVersion, SortedMap<String, Print> tensors) {
  /** The name it is kept under. */
  public static final String FILE = "frozen.json";

  private static final int VERSION = 1;

  /**
   * One tensor.
   *
   * @param sha256 of its bytes, little-endian and row-major, in lower-case hexadecimal
   */
  public record Print(DType dtype, List<Long> shape, String sha256) {
    public Print {
      shape = List.copyOf(shape);
    }

    static Print of(TensorData tensor) {
      return new Print(
          tensor.dtype(),
          Arrays.stream(tensor.shape()).boxed().toList(),
          Sha256.of(tensor.bytes()));
    }

    /**
     * Reads the tensor's bytes once.
     *
     * @throws CheckpointException where they cannot be read
     */
    public static Print of(TensorStream tensor) {
      return new Print(
          tensor.dtype(), Arrays.stream(tensor.shape()).boxed().toList(), Sha256.of(tensor));
    }
  }

  /** What can have become of a tensor. */
  public enum Change {
    MISSING,
    DTYPE,
    SHAPE,
    BYTES
  }

  /** A tensor that is not what it was. */
  public record Difference(String name, Change change, String before, String after) {
    @Override
    public String toString() {
      return switch (change) {
        case MISSING -> name + ": is missing";
        case DTYPE -> "%s: was %s, is %s".formatted(name, before, after);
        case SHAPE -> "%s: was of shape %s, is %s".formatted(name, before, after);
        case BYTES -> "%s: moved (SHA-256 was %s, is %s)".formatted(name, before, after);
      };
    }
  }

  public FrozenProof {
    if (formatVersion != VERSION) {
      throw new CheckpointException(
          "formatVersion %d is not known, %d is; take a newer moextend"
              .formatted(formatVersion, VERSION));
    }
    tensors = Collections.unmodifiableSortedMap(new TreeMap<>(tensors));
  }

  public static FrozenProof of(WeightSource source) {
    return of(source, _ -> true);
  }

  /**
   * Reads every byte of the chosen tensors once, on as many threads as there are cores. The source
   * is asked for one tensor at a time.
   */
  public static FrozenProof of(WeightSource source, Predicate<String> frozen) {
    var prints = new ConcurrentSkipListMap<String, Print>();
    source.names().parallelStream()
        .filter(frozen)
        .forEach(name -> prints.put(name, Print.of(take(source, name))));
    return new FrozenProof(VERSION, prints);
  }

  /** The proof of some of its tensors; nothing is read again. */
  public FrozenProof only(Predicate<String> wanted) {
    var kept = new TreeMap<>(tensors);
    kept.keySet().removeIf(wanted.negate());
    return new FrozenProof(formatVersion, kept);
  }

  /**
   * One of {@code world} parts of about as many bytes; together they are this proof. For ranks that
   * {@link #verify} side by side.
   */
  public FrozenProof share(int rank, int world) {
    var mine = EvenShares.of(tensors.keySet(), name -> bytes(tensors.get(name)), world).get(rank);
    return only(Set.copyOf(mine)::contains);
  }

  private static long bytes(@Nullable Print print) {
    return print == null
        ? 0
        : print.shape().stream().reduce((long) print.dtype().bytes(), (a, b) -> a * b);
  }

  /**
   * Compares with what the tensors are now; tensors that were not proved are not looked at.
   *
   * @return what differs, sorted by name; empty if nothing moved
   */
  public List<Difference> verify(WeightSource source) {
    var differences = new ConcurrentSkipListMap<String, Difference>();
    tensors.entrySet().parallelStream()
        .forEach(
            entry -> {
              String name = entry.getKey();
              Print before = entry.getValue();
              if (!source.names().contains(name)) {
                differences.put(name, new Difference(name, Change.MISSING, "", ""));
                return;
              }
              compare(name, before, Print.of(take(source, name)), differences);
            });
    return List.copyOf(differences.values());
  }

  private static void compare(
      String name, Print before, Print after, SortedMap<String, Difference> differences) {
    if (before.dtype() != after.dtype()) {
      differences.put(
          name,
          new Difference(name, Change.DTYPE, before.dtype().toString(), after.dtype().toString()));
    } else if (!before.shape().equals(after.shape())) {
      differences.put(
          name,
          new Difference(name, Change.SHAPE, before.shape().toString(), after.shape().toString()));
    } else if (!before.sha256().equals(after.sha256())) {
      differences.put(name, new Difference(name, Change.BYTES, before.sha256(), after.sha256()));
    }
  }

  private static TensorData take(WeightSource source, String name) {
    synchronized (source) {
      return source.tensor(name);
    }
  }

  /**
   * @throws CheckpointException where the file cannot be written
   */
  public void write(Path file) {
    JsonFile.write(file, this);
  }

  /**
   * @throws CheckpointException where the file is no proof
   */
  public static FrozenProof read(Path file) {
    return JsonFile.read(file, FrozenProof.class);
  }
}
