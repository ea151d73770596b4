package io.moextend.train;

import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.FolderTree;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * OUT/checkpoint-N: a folder appears under its name only when it is whole. LATEST names the newest.
 * Old ones go only after the new one is whole.
 */
public final class CheckpointStore {
  private static final Pattern WHOLE = Pattern.compile("checkpoint-(\\d{1,9})");
  private static final Pattern LEFTOVER =
      Pattern.compile("checkpoint-\\d{1,9}\\.(incomplete|deleting)");

  private final Path output;
  private final @Nullable Integer limit;
  private final List<CheckpointPart> parts;
  private final Peers peers;
  private final Together together;
  private final WholeWeights weights;

  /**
   * @param limit checkpoints kept; null = all
   */
  public CheckpointStore(
      Path output, @Nullable Integer limit, List<CheckpointPart> parts, Peers peers) {
    this(output, limit, parts, peers, WholeWeights.ALWAYS);
  }

  /**
   * @param limit checkpoints kept; null = all
   * @param weights what is saved is saved within
   */
  public CheckpointStore(
      Path output,
      @Nullable Integer limit,
      List<CheckpointPart> parts,
      Peers peers,
      WholeWeights weights) {
    this.output = output;
    this.weights = weights;
    this.limit = limit;
    this.parts = List.copyOf(parts);
    this.peers = peers;
    this.together = new Together(peers);
  }

  /**
   * Writes a checkpoint and forgets the oldest beyond the limit. On every rank; where it fails on
   * one, it fails on all, and nothing of it stays.
   *
   * @return its folder
   * @throws CheckpointException naming the rank where there are several, the file and the reason
   */
  public Path save(RunState state) {
    Path target = output.resolve("checkpoint-" + state.step());
    weights.during(() -> save(state, target));
    return target;
  }

  private void save(RunState state, Path target) {
    if (peers.rank() == 0) {
      try (var folder = together.call("making " + target, () -> AtomicFolder.create(target))) {
        saveParts(folder.path());
        together.run("finishing " + target, () -> finish(state, folder, target));
      }
    } else {
      together.run("making " + target, () -> {});
      saveParts(target.resolveSibling(target.getFileName() + ".incomplete"));
      together.run("finishing " + target, () -> {});
    }
  }

  private void saveParts(Path folder) {
    together.run(
        "writing " + folder,
        () -> {
          try {
            for (CheckpointPart part : parts) {
              part.save(folder, peers);
            }
          } catch (IOException e) {
            throw AtomicFolder.failure(folder, e);
          }
        });
  }

  private void finish(RunState state, AtomicFolder folder, Path target) {
    try {
      for (CheckpointPart part : parts) {
        part.seal(folder.path(), peers);
      }
      state.write(folder.path());
      folder.commit();
      nameLatest(target);
      prune();
    } catch (IOException e) {
      throw AtomicFolder.failure(target, e);
    }
  }

  private void nameLatest(Path newest) throws IOException {
    Path name = output.resolve("LATEST");
    Path made = output.resolve("LATEST.incomplete");
    Files.writeString(made, newest.getFileName() + "\n");
    Files.move(made, name, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private void prune() throws IOException {
    List<Path> whole = whole();
    int surplus = limit == null ? 0 : whole.size() - limit;
    for (Path old : whole.subList(0, Math.max(0, surplus))) {
      Path going = old.resolveSibling(old.getFileName() + ".deleting");
      Files.move(old, going, StandardCopyOption.ATOMIC_MOVE);
      new FolderTree(going).delete();
    }
  }

  /**
   * The checkpoint to go on with; the same answer on every rank.
   *
   * @param resume "none", "auto" or a folder, as in the configuration
   * @throws ConfigException where "none" would mix a fresh run with an older one, or a folder is no
   *     checkpoint
   */
  public Optional<Path> find(String resume) {
    return switch (resume) {
      case "auto" -> newestOfRankZero();
      case "none" -> {
        together.run("looking for an earlier run", this::requireFresh);
        yield Optional.empty();
      }
      default -> Optional.of(together.call("looking for " + resume, () -> named(Path.of(resume))));
    };
  }

  /** Ranks on several hosts may see a folder's newest entry at different moments. */
  private Optional<Path> newestOfRankZero() {
    int own =
        together.call(
            "looking for checkpoints",
            () -> peers.rank() == 0 ? newest().map(CheckpointStore::step).orElse(-1) : -1);
    int step = (int) peers.gather("the checkpoint to go on with", own)[0][0];
    return step < 0 ? Optional.empty() : Optional.of(output.resolve("checkpoint-" + step));
  }

  private Optional<Path> newest() {
    try {
      List<Path> whole = whole();
      return whole.isEmpty() ? Optional.empty() : Optional.of(whole.getLast());
    } catch (IOException e) {
      throw new ConfigException("cannot read " + output + ": " + e, e);
    }
  }

  private void requireFresh() {
    Optional<Path> newest = peers.rank() == 0 ? newest() : Optional.empty();
    if (newest.isPresent()) {
      throw new ConfigException(
          "checkpoints.resume_from_checkpoint",
          "none",
          "there is %s; write auto to go on with it, or choose another output_dir"
              .formatted(newest.get()));
    }
  }

  private static Path named(Path folder) {
    if (!Files.isRegularFile(folder.resolve(RunState.FILE))) {
      throw new ConfigException(
          "checkpoints.resume_from_checkpoint",
          folder,
          "is no whole checkpoint (it has no %s)".formatted(RunState.FILE));
    }
    return folder;
  }

  /**
   * Reads a checkpoint's state, has every part check its own, then take it back. On every rank;
   * nothing is changed anywhere where one rank refuses.
   *
   * @throws ConfigException where a setting that matters is not as it was
   */
  public RunState load(Path checkpoint, Map<String, String> identity) {
    RunState state =
        together.call(
            "reading " + checkpoint,
            () -> {
              RunState read = RunState.read(checkpoint);
              read.requireSame(checkpoint, identity, peers.world());
              parts.forEach(part -> part.check(checkpoint, peers));
              return read;
            });
    parts.forEach(part -> part.load(checkpoint, peers));
    return state;
  }

  /** Removes what a crash left half written or half deleted. On every rank; rank 0 does it. */
  public void sweep() {
    together.run(
        "sweeping " + output,
        () -> {
          if (peers.rank() == 0) {
            sweepAlone();
          }
        });
  }

  private void sweepAlone() {
    try {
      for (Path leftover : matching(LEFTOVER)) {
        new FolderTree(leftover).delete();
      }
    } catch (IOException e) {
      throw AtomicFolder.failure(output, e);
    }
  }

  /** Whole checkpoints, oldest first. */
  public List<Path> whole() throws IOException {
    var found = new ArrayList<>(matching(WHOLE));
    found.removeIf(folder -> !Files.isRegularFile(folder.resolve(RunState.FILE)));
    found.sort(Comparator.comparingInt(CheckpointStore::step));
    return found;
  }

  private static int step(Path checkpoint) {
    return Integer.parseInt(checkpoint.getFileName().toString().substring("checkpoint-".length()));
  }

  private List<Path> matching(Pattern name) throws IOException {
    if (!Files.isDirectory(output)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(output)) {
      return entries.filter(p -> name.matcher(p.getFileName().toString()).matches()).toList();
    }
  }
}
