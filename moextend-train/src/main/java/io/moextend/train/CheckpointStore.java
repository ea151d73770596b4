package io.moextend.train;

import io.moextend.checkpoint.AtomicFolder;
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

  /**
   * @param limit checkpoints kept; null = all
   */
  public CheckpointStore(
      Path output, @Nullable Integer limit, List<CheckpointPart> parts, Peers peers) {
    this.output = output;
    this.limit = limit;
    this.parts = List.copyOf(parts);
    this.peers = peers;
  }

  /**
   * Writes a checkpoint and forgets the oldest beyond the limit.
   *
   * @return its folder
   */
  public Path save(RunState state) {
    Path target = output.resolve("checkpoint-" + state.step());
    if (peers.rank() != 0) {
      peers.barrier();
      saveParts(target.resolveSibling(target.getFileName() + ".incomplete"));
      peers.barrier();
      peers.barrier();
      return target;
    }
    try (var folder = AtomicFolder.create(target)) {
      peers.barrier();
      state.write(folder.path());
      saveParts(folder.path());
      peers.barrier();
      folder.commit();
      nameLatest(target);
      prune();
    } catch (IOException e) {
      throw AtomicFolder.failure(target, e);
    }
    peers.barrier();
    return target;
  }

  private void saveParts(Path folder) {
    try {
      for (CheckpointPart part : parts) {
        part.save(folder, peers);
      }
    } catch (IOException e) {
      throw AtomicFolder.failure(folder, e);
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
      delete(going);
    }
  }

  /**
   * The checkpoint to go on with.
   *
   * @param resume "none", "auto" or a folder, as in the configuration
   * @throws ConfigException where "none" would mix a fresh run with an older one, or a folder is no
   *     checkpoint
   */
  public Optional<Path> find(String resume) {
    try {
      return switch (resume) {
        case "auto" -> newest();
        case "none" -> {
          requireFresh();
          yield Optional.empty();
        }
        default -> Optional.of(named(Path.of(resume)));
      };
    } catch (IOException e) {
      throw new ConfigException("cannot read " + output + ": " + e, e);
    }
  }

  private Optional<Path> newest() throws IOException {
    List<Path> whole = whole();
    return whole.isEmpty() ? Optional.empty() : Optional.of(whole.getLast());
  }

  private void requireFresh() throws IOException {
    Optional<Path> newest = newest();
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

  /** Reads a checkpoint's state, then has every part take back its own. */
  public RunState load(Path checkpoint, Map<String, String> identity) {
    RunState state = RunState.read(checkpoint);
    state.requireSame(checkpoint, identity);
    parts.forEach(part -> part.load(checkpoint, peers));
    return state;
  }

  /** Removes what a crash left half written or half deleted. To be called once, by rank 0. */
  public void sweep() {
    try {
      for (Path leftover : matching(LEFTOVER)) {
        delete(leftover);
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

  private static void delete(Path folder) throws IOException {
    List<Path> inside;
    try (Stream<Path> paths = Files.walk(folder)) {
      inside = paths.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : inside) {
      Files.delete(path);
    }
  }
}
