package io.moextend.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Finds the weights in a folder as Hugging Face lays it out. */
public final class CheckpointFolder {
  static final String MODEL = "model.safetensors";

  private CheckpointFolder() {}

  /**
   * Opens model.safetensors, else the shards of model.safetensors.index.json, else the only
   * *.safetensors there is. A path to one file opens that file.
   *
   * @throws CheckpointException where there are no weights to read, the shards do not fit their
   *     index, or the folder holds a delta, which means nothing without its base
   */
  public static WeightSource open(Path folder) {
    if (Files.isRegularFile(folder)) {
      return SafetensorsFile.open(folder);
    }
    if (!Files.isDirectory(folder)) {
      throw new CheckpointException(folder + ": there is no such folder; check --model");
    }
    if (Files.exists(folder.resolve(MODEL))) {
      return SafetensorsFile.open(inside(folder, MODEL, folder));
    }
    if (Files.exists(folder.resolve(ShardIndex.FILE))) {
      return ShardedFolder.open(folder);
    }
    if (DeltaCheckpoint.isIn(folder)) {
      throw new CheckpointException(
          "%s: is a delta of base %s and no whole model; give the folder of that base: --base DIR"
              .formatted(folder, DeltaCheckpoint.baseOf(folder)));
    }
    return SafetensorsFile.open(inside(folder, onlyFile(folder), folder));
  }

  /**
   * Opens a delta on top of its base.
   *
   * @throws CheckpointException where either cannot be read, or the base is not the delta's
   */
  public static WeightSource open(Path delta, Path base) {
    WeightSource below = open(base);
    try {
      DeltaCheckpoint above = DeltaCheckpoint.open(delta);
      try {
        return Overlay.of(below, above);
      } catch (RuntimeException e) {
        above.close();
        throw e;
      }
    } catch (RuntimeException e) {
      below.close();
      throw e;
    }
  }

  private static String onlyFile(Path folder) {
    List<String> files = fileNames(folder);
    var safetensors = files.stream().filter(name -> name.endsWith(".safetensors")).toList();
    if (safetensors.size() == 1) {
      return safetensors.getFirst();
    }
    if (safetensors.size() > 1) {
      throw new CheckpointException(
          "%s: %s without %s; fetch the index, or name one file"
              .formatted(folder, safetensors, ShardIndex.FILE));
    }
    if (files.stream().anyMatch(name -> name.matches(".*\\.(bin|pt|pth|ckpt)"))) {
      throw new CheckpointException(
          folder
              + ": holds PyTorch pickles, which can run code when they are read; convert them to"
              + " safetensors in Python: model.save_pretrained(DIR, safe_serialization=True)");
    }
    throw new CheckpointException(
        folder + ": holds no *.safetensors; is this the folder of the model?");
  }

  private static List<String> fileNames(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> file.getFileName().toString())
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new CheckpointException(folder + ": cannot be read (" + e + ")", e);
    }
  }

  /**
   * A file of the folder by its bare name, links followed. A link may lead within the folder, or
   * from a Hugging Face cache's snapshots/REVISION to the blobs beside it, and nowhere else.
   *
   * @param namedBy what asks for it, for the message
   */
  static Path inside(Path folder, String name, Path namedBy) {
    Path file = folder.resolve(bareName(name, namedBy));
    if (!Files.exists(file)) {
      return file;
    }
    try {
      Path home = folder.toRealPath();
      Path real = file.toRealPath();
      Path snapshots = home.getParent();
      boolean cached =
          snapshots != null
              && snapshots.endsWith("snapshots")
              && real.startsWith(snapshots.resolveSibling("blobs"));
      if (!real.startsWith(home) && !cached) {
        throw new CheckpointException(
            "%s: \"%s\" is a link that leaves the folder; copy the file in"
                .formatted(namedBy, name));
      }
      return file;
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
    }
  }

  private static Path bareName(String name, Path namedBy) {
    try {
      Path bare = Path.of(name);
      if (bare.getNameCount() == 1
          && bare.equals(bare.getFileName())
          && bare.toString().equals(name)
          && bare.normalize().equals(bare)
          && !name.isEmpty()
          && !name.equals("..")) {
        return bare;
      }
    } catch (InvalidPathException _) {
      // a name that no file can have is refused like one of another folder
    }
    throw new CheckpointException(
        "%s: file \"%s\" is no bare file name and could leave the folder; not opened"
            .formatted(namedBy, CheckpointException.shown(name)));
  }
}
