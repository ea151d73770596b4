package io.moextend.data.prompted;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.data.DataException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Opens files of examples by their names.
 *
 * @param split of a cached task's folder: train, validation
 * @param scratch an existing folder, where parquet files are unpacked
 */
public record ExampleFiles(ExampleFields fields, String split, Path scratch) {
  /** Those of a list: its split, and SeqIO's fields where a task names no others. */
  public static ExampleFiles of(TaskList list, Path scratch) {
    return new ExampleFiles(ExampleFields.SEQIO, list.split(), scratch);
  }

  /** A task of a list, with the names of fields that it has there. */
  @MustBeClosed
  public Examples open(TaskList.Task task) {
    TaskList.Entry.FieldNames names = task.entry().fields();
    return names == null
        ? open(task.paths())
        : new ExampleFiles(names.over(fields), split, scratch).open(task.paths());
  }

  /**
   * @param path a {@code .jsonl}, {@code .parquet} or TFRecord file, or a cached task's folder
   * @throws DataException if it is none of them, or wrong
   */
  @MustBeClosed
  public Examples open(Path path) {
    String name = path.getFileName() == null ? "" : path.getFileName().toString();
    if (Files.isDirectory(path)) {
      return CachedTask.open(path, split, fields);
    }
    if (name.endsWith(".jsonl")) {
      return JsonLines.open(path, fields);
    }
    if (name.endsWith(".parquet")) {
      return ParquetExamples.open(path, fields, scratch);
    }
    if (name.endsWith(".tfrecord") || name.contains(".tfrecord-")) {
      return RecordExamples.open(path, fields);
    }
    throw new DataException(
        "%s: examples come in .jsonl, .parquet or .tfrecord files, or in the folder of a cached task"
            .formatted(path));
  }

  /** Some files, one behind the other. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // in the result, which closes them
  public Examples open(List<Path> paths) {
    var parts = new ArrayList<Examples>();
    try {
      for (Path path : paths) {
        parts.add(open(path));
      }
    } catch (RuntimeException e) {
      Concatenated.closeAll(parts);
      throw e;
    }
    return parts.size() == 1 ? parts.getFirst() : new Concatenated(parts);
  }
}
