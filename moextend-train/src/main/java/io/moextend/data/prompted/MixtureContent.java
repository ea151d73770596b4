package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * What a mixture is drawn from, short enough to be kept with each checkpoint: a position in the
 * stream of draws means the same rows only where all of it is as it was. Files count by their names
 * below the root, which may have moved, and by their sizes; a text that was changed to another of
 * the same length is not noticed.
 *
 * @param tasks how many, and a hash of their names and fields in order
 * @param examples how many of all, and a hash of each task's number
 * @param files how many and how large, and a hash of names and sizes; empty where there are none
 * @param rates their sum, and a hash of all
 */
record MixtureContent(String tasks, String examples, String files, String rates) {
  /** Of eight bytes: nobody makes two of these alike on purpose. */
  private static final int SHOWN = 16;

  /** Of tasks that lie in no files. */
  static MixtureContent of(List<Mixture.Part> parts) {
    return of(parts, parts.stream().map(Mixture.Part::name).toList(), "");
  }

  /**
   * @param tasks of {@code list}, each with its part
   * @throws DataException where a file is gone
   */
  static MixtureContent of(TaskList list, List<TaskList.Task> tasks, List<Mixture.Part> parts) {
    List<String> named =
        tasks.stream().map(task -> task.name() + " " + task.entry().fields()).toList();
    return of(parts, named, files(list, tasks));
  }

  private static MixtureContent of(List<Mixture.Part> parts, List<String> named, String files) {
    List<String> sizes = parts.stream().map(p -> String.valueOf(p.examples().size())).toList();
    List<String> rates = parts.stream().map(p -> String.valueOf(p.rate())).toList();
    long examples = parts.stream().mapToLong(p -> p.examples().size()).sum();
    double rate = parts.stream().mapToDouble(Mixture.Part::rate).sum();
    return new MixtureContent(
        "%d (%s)".formatted(parts.size(), hash(named)),
        "%d (%s)".formatted(examples, hash(sizes)),
        files,
        "%s (%s)".formatted(rate, hash(rates)));
  }

  private static String files(TaskList list, List<TaskList.Task> tasks) {
    Path root = list.root().toAbsolutePath().normalize();
    var lines = new ArrayList<String>();
    long bytes = 0;
    for (TaskList.Task task : tasks) {
      for (Path path : task.paths()) {
        for (Path file : files(path, list.split())) {
          long size = size(file);
          bytes += size;
          lines.add(root.relativize(file.toAbsolutePath().normalize()) + " " + size);
        }
      }
    }
    return "%d of %d bytes (%s)".formatted(lines.size(), bytes, hash(lines));
  }

  /** The file itself, or the shards of a cached task's split. */
  private static List<Path> files(Path path, String split) {
    if (!Files.isDirectory(path)) {
      return List.of(path);
    }
    var shards = new ArrayList<Path>();
    try (DirectoryStream<Path> all =
        Files.newDirectoryStream(
            path, file -> file.getFileName().toString().startsWith(split + ".tfrecord-"))) {
      all.forEach(shards::add);
    } catch (IOException e) {
      throw unreadable(path, e);
    }
    shards.sort(null);
    return shards;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static DataException unreadable(Path path, IOException e) {
    return new DataException("%s cannot be read: %s".formatted(path, e), e);
  }

  private static String hash(List<String> lines) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      for (String line : lines) {
        sha.update(line.getBytes(StandardCharsets.UTF_8));
        sha.update((byte) '\n');
      }
      return HexFormat.of().formatHex(sha.digest()).substring(0, SHOWN);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** By names under which a run that does not find them as they were says so. */
  SequencedMap<String, String> values() {
    var values = new LinkedHashMap<String, String>();
    values.put("data.mixture tasks", tasks);
    values.put("data.mixture examples", examples);
    values.put("data.mixture files", files);
    values.put("data.mixture rates", rates);
    return values;
  }
}
