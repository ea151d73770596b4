package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where the files and folders of a list's tasks are.
 *
 * @param list the list, for messages
 * @param root folder that none of them is outside of
 */
record TaskFiles(Path list, Path root) {
  private static final String RANKED = "_score_eval";

  /** What to do where files are not in the root. */
  private static final String MEND =
      "put it there, or name the folder the tasks' files lie in: data.root of a run, --root of evaluate";

  /** In the entry's order; those that one pattern stands for by name. */
  List<Path> files(TaskList.Entry entry) {
    var found = new ArrayList<Path>();
    for (String name : entry.files() == null ? List.<String>of() : entry.files()) {
      Path path = below(entry, name);
      Path last = path.getFileName();
      if (Files.exists(path) || last == null || !name.contains("*")) {
        found.add(existing(entry, path));
        continue;
      }
      Path parent = path.getParent();
      List<Path> matching = matching(entry, parent == null ? Path.of("") : parent, last.toString());
      matching.removeIf(Files::isDirectory);
      if (matching.isEmpty()) {
        throw wrong(entry, "no file is called %s; %s".formatted(path, MEND), null);
      }
      matching.removeAll(found);
      found.addAll(matching);
    }
    return found;
  }

  /**
   * As many folders as the entry has templates, by name. Rows for ranking lie beside the task they
   * were made of; a pattern for these ends like them.
   */
  List<Path> folders(TaskList.Entry entry) {
    var found = new ArrayList<Path>();
    for (String pattern : entry.folders() == null ? List.<String>of() : entry.folders()) {
      List<Path> matching = matching(entry, root, pattern);
      matching.removeIf(
          folder ->
              !Files.isDirectory(folder)
                  || (folder.toString().endsWith(RANKED) && !pattern.endsWith(RANKED)));
      matching.removeAll(found);
      found.addAll(matching);
    }
    if (found.size() != entry.count()) {
      throw new DataException(
          "%s: %s has %d templates, but %d folders %s are in %s; put the cached tasks there, name their folder (data.root of a run, --root of evaluate), or change templates"
              .formatted(list, entry.name(), entry.count(), found.size(), entry.folders(), root));
    }
    found.sort(null);
    return found;
  }

  private List<Path> matching(TaskList.Entry entry, Path folder, String pattern) {
    PathMatcher glob = FileSystems.getDefault().getPathMatcher("glob:" + pattern);
    var found = new ArrayList<Path>();
    try (DirectoryStream<Path> all =
        Files.newDirectoryStream(folder, path -> glob.matches(path.getFileName()))) {
      all.forEach(found::add);
    } catch (IOException e) {
      throw wrong(
          entry,
          "the folder %s cannot be read (%s); name the tasks' own: data.root of a run, --root of evaluate"
              .formatted(folder, e.getMessage()),
          e);
    }
    found.sort(null);
    return found;
  }

  private Path below(TaskList.Entry entry, String name) {
    Path path;
    try {
      path = root.resolve(name);
    } catch (InvalidPathException e) {
      throw wrong(entry, name + " is no path; mend it", e);
    }
    Path within = root.toAbsolutePath().normalize();
    if (!path.toAbsolutePath().normalize().startsWith(within)) {
      throw wrong(
          entry, "%s leaves the folder %s; move the file into it".formatted(name, root), null);
    }
    return path;
  }

  private Path existing(TaskList.Entry entry, Path path) {
    if (!Files.exists(path)) {
      throw wrong(entry, "%s is missing; %s".formatted(path, MEND), null);
    }
    return path;
  }

  private DataException wrong(TaskList.Entry entry, String fault, @Nullable Throwable cause) {
    return new DataException("%s: task %s: %s".formatted(list, entry.name(), fault), cause);
  }
}
