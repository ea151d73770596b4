package io.moextend.checkpoint;

import io.moextend.array.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;

/**
 * A set of {@link PieceFiles}, whole and open: any range of any of its arrays, whoever wrote it.
 * Usable from several threads.
 */
public final class PieceSet implements AutoCloseable {
  private record Shard(SafetensorsFile file, Path listing, Checksums checksums) {
    TensorData tensor(String name) {
      return file.tensor(name);
    }

    String sum(String name) {
      String sum = checksums.crc32c().get(name);
      if (sum == null) {
        throw CheckpointException.ofTensor(
            listing, name, "has no checksum" + SafetensorsHeader.DAMAGED);
      }
      return sum;
    }

    void verify(String name) {
      Checksums.require(file.path(), tensor(name), sum(name), listing);
    }
  }

  private record Located(Piece piece, Shard shard) {}

  private record Named(String tensor, Shard shard) {}

  private final Path folder;
  private final String stem;
  private final List<Shard> shards = new ArrayList<>();
  private final Map<String, NavigableMap<Long, Located>> arrays = new TreeMap<>();
  private final Map<String, Shard> whole = new TreeMap<>();

  private PieceSet(Path folder, String stem) {
    this.folder = folder;
    this.stem = stem;
  }

  /**
   * Opens the set and checks that it is one: no file missing or foreign, every array covered from
   * its first element to its last. The bytes are checked by {@link #verify}.
   *
   * @throws CheckpointException naming the file and, where there is one, the tensor
   */
  public static PieceSet open(Path folder, String stem) {
    var set = new PieceSet(folder, stem);
    try {
      set.openShards();
      set.arrays.forEach(set::checkCover);
      return set;
    } catch (RuntimeException e) {
      set.close();
      throw e;
    }
  }

  private void openShards() {
    Path contents = CheckpointFolder.inside(folder, PieceFiles.contents(stem), folder);
    Map<String, String> listings = JsonFile.read(contents, PieceFiles.Contents.class).listings();
    var wanted = new TreeSet<String>();
    for (String listing : listings.keySet()) {
      wanted.add(listing);
      wanted.add(weightsBeside(listing));
    }
    requireFiles(contents, wanted);
    for (var listing : listings.entrySet()) {
      openShard(contents, listing.getKey(), listing.getValue());
    }
  }

  private static String weightsBeside(String listing) {
    return PieceFiles.weights(listing.replaceFirst("\\.json$", ""));
  }

  private void requireFiles(Path contents, Set<String> wanted) {
    for (String file : wanted) {
      if (!Files.isRegularFile(CheckpointFolder.inside(folder, file, contents))) {
        throw new CheckpointException(
            "%s: is missing, %s names %d files of this set; copy it here too"
                .formatted(folder.resolve(file), contents.getFileName(), wanted.size()));
      }
    }
    Optional<String> foreign =
        PieceFiles.numbered(folder, stem).stream().filter(f -> !wanted.contains(f)).findFirst();
    if (foreign.isPresent()) {
      throw new CheckpointException(
          "%s: is not one of the %d files that %s names; it is of another checkpoint: remove it"
              .formatted(folder.resolve(foreign.get()), wanted.size(), contents.getFileName()));
    }
  }

  private void openShard(Path contents, String name, String sum) {
    Path listing = folder.resolve(name);
    if (!PieceFiles.sum(listing).equals(sum)) {
      throw new CheckpointException(
          "%s: is not the file that %s was written with; it is damaged or of another checkpoint"
              .formatted(listing, contents.getFileName()));
    }
    var checksums = Checksums.read(listing);
    var file = SafetensorsFile.open(folder.resolve(weightsBeside(name)));
    var shard = new Shard(file, listing, checksums);
    shards.add(shard);
    if (!file.names().equals(checksums.crc32c().keySet())) {
      throw new CheckpointException(
          "%s: does not hold the tensors that %s names; it is damaged or of another checkpoint"
              .formatted(file.path(), name));
    }
    file.names().forEach(tensor -> enter(shard, tensor));
  }

  private void enter(Shard shard, String tensor) {
    if (!Piece.isNameOfOne(tensor)) {
      if (whole.putIfAbsent(tensor, shard) != null) {
        throw CheckpointException.ofTensor(shard.file.path(), tensor, "stands in two files");
      }
      return;
    }
    Piece piece = Piece.ofName(tensor);
    TensorData data = shard.tensor(tensor);
    if (data.shape().length != 1 || data.length() != piece.count()) {
      throw CheckpointException.ofTensor(
          shard.file.path(), tensor, "holds %d elements".formatted(data.length()));
    }
    Located before =
        arrays
            .computeIfAbsent(piece.array(), _ -> new TreeMap<>())
            .putIfAbsent(piece.from(), new Located(piece, shard));
    if (before != null && !sameState(before, piece, shard)) {
      throw CheckpointException.ofTensor(
          shard.file.path(),
          tensor,
          "differs from %s in %s; they are of two checkpoints"
              .formatted(before.piece.tensor(), before.shard.file.path().getFileName()));
    }
  }

  /** Ranks that all hold the same state may all have written it. */
  private static boolean sameState(Located before, Piece piece, Shard shard) {
    return before.piece.equals(piece)
        && before.shard.sum(piece.tensor()).equals(shard.sum(piece.tensor()));
  }

  private void checkCover(String array, NavigableMap<Long, Located> pieces) {
    long reached = 0;
    long total = pieces.firstEntry().getValue().piece.total();
    DType dtype = null;
    for (Located located : pieces.values()) {
      Piece piece = located.piece;
      DType found = located.shard.tensor(piece.tensor()).dtype();
      dtype = dtype == null ? found : dtype;
      if (piece.total() != total || found != dtype || piece.from() < reached) {
        throw CheckpointException.ofTensor(
            located.shard.file.path(),
            piece.tensor(),
            "does not fit the pieces before it; they are of two checkpoints");
      }
      if (piece.from() > reached) {
        break;
      }
      reached = piece.to();
    }
    if (reached != total) {
      throw CheckpointException.ofTensor(
          folder.resolve(PieceFiles.contents(stem)),
          array,
          "element %d of %d is in no file; the checkpoint is not whole: take an earlier one"
              .formatted(reached, total));
    }
  }

  /**
   * Compares the bytes of one of {@code world} even shares of all tensors with their checksums; all
   * shares together are everything.
   *
   * @throws CheckpointException naming the first tensor that is damaged, and its file
   */
  public void verify(int rank, int world) {
    var all = new ArrayList<Named>();
    for (Shard shard : shards) {
      shard.file.names().forEach(tensor -> all.add(new Named(tensor, shard)));
    }
    EvenShares.of(all, n -> n.shard.tensor(n.tensor).bytes().byteSize(), world).get(rank).stream()
        .parallel()
        .forEach(n -> n.shard.verify(n.tensor));
  }

  /** Arrays that lie here in pieces, sorted. */
  public Set<String> arrays() {
    return arrays.keySet();
  }

  /**
   * Gives elements of an array, in order, in as many parts as files hold them.
   *
   * @param wanted which, and of how many the whole array must be
   * @param into takes the first element of a part, counted from the first that is wanted, and its
   *     values in one dimension
   * @throws CheckpointException where there is no such array, or its type or size is another
   */
  public void read(Piece wanted, DType dtype, BiConsumer<Long, TensorData> into) {
    NavigableMap<Long, Located> pieces = arrays.get(wanted.array());
    if (pieces == null) {
      throw CheckpointException.ofTensor(origin(), wanted.array(), "is not in this checkpoint");
    }
    Located first = pieces.floorEntry(wanted.from()).getValue();
    DType found = first.shard.tensor(first.piece.tensor()).dtype();
    if (first.piece.total() != wanted.total() || found != dtype) {
      throw CheckpointException.ofTensor(
          origin(),
          wanted.array(),
          "is %s[%d], this run wants %s[%d]; was it saved by another stage or model?"
              .formatted(found, first.piece.total(), dtype, wanted.total()));
    }
    for (Located located : pieces.tailMap(first.piece.from()).values()) {
      Piece piece = located.piece;
      long from = Math.max(piece.from(), wanted.from());
      long to = Math.min(piece.to(), wanted.to());
      if (from >= to) {
        return;
      }
      TensorData data = located.shard.tensor(piece.tensor());
      into.accept(from - wanted.from(), data.rows(from - piece.from(), to - piece.from()));
    }
  }

  /**
   * A tensor that was written as a whole.
   *
   * @throws CheckpointException where there is none of that name
   */
  public TensorData whole(String name) {
    Shard shard = whole.get(name);
    if (shard == null) {
      throw CheckpointException.ofTensor(origin(), name, "is not in this checkpoint");
    }
    return shard.tensor(name);
  }

  /** Where it comes from, for messages. */
  public String origin() {
    return shards.stream().map(s -> s.file.path().toString()).collect(Collectors.joining(", "));
  }

  @Override
  public void close() {
    shards.forEach(s -> s.file.close());
  }
}
