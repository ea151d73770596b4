package io.moextend.data.prompted;

import com.google.errorprone.annotations.MustBeClosed;
import java.nio.file.Path;

/** A TFRecord file of {@code tf.train.Example}s. */
final class RecordExamples implements Examples {
  private final RecordBytes records;
  private final ExampleFields fields;

  private RecordExamples(RecordBytes records, ExampleFields fields) {
    this.records = records;
    this.fields = fields;
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // in the result, which closes it
  static RecordExamples open(Path file, ExampleFields fields) {
    FileBytes bytes = FileBytes.open(file, file.toString());
    try {
      return new RecordExamples(new RecordBytes(bytes), fields);
    } catch (RuntimeException e) {
      bytes.close();
      throw e;
    }
  }

  @Override
  public int size() {
    return records.size();
  }

  @Override
  public PromptedExample read(int index) {
    String where = records.where(index);
    return fields.read(where, ExampleMessage.read(where, records.read(index)));
  }

  @Override
  public void close() {
    records.close();
  }
}
