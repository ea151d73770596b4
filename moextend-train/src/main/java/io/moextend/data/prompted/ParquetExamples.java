package io.moextend.data.prompted;

import com.fasterxml.jackson.core.JsonGenerator;
import com.google.errorprone.annotations.MustBeClosed;
import dev.hardwood.InputFile;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.schema.ColumnProjection;
import dev.hardwood.schema.SchemaNode;
import io.moextend.data.DataException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A parquet file. Its columns are packed and compressed by the thousand, so a single row cannot be
 * read at a price; opening writes the columns of interest row by row into a scratch file, of which
 * nothing is left when it is closed or the process ends.
 */
final class ParquetExamples implements Examples {
  private final JsonLines rows;

  private ParquetExamples(JsonLines rows) {
    this.rows = rows;
  }

  /**
   * @param scratch an existing folder with room for the file's texts, uncompressed
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // in the result, which closes it
  static ParquetExamples open(Path file, ExampleFields fields, Path scratch) {
    Path copy = null;
    try {
      copy = Files.createTempFile(scratch, "parquet-", ".jsonl");
      unpack(file, fields, copy);
      return new ParquetExamples(JsonLines.open(copy, file.toString(), fields));
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be unpacked into %s: %s".formatted(file, scratch, e.getMessage()), e);
    } finally {
      delete(copy); // the open file lives on until it is closed
    }
  }

  private static void delete(@Nullable Path copy) {
    try {
      if (copy != null) {
        Files.delete(copy);
      }
    } catch (IOException e) {
      throw new DataException("%s cannot be deleted: %s".formatted(copy, e.getMessage()), e);
    }
  }

  private static void unpack(Path file, ExampleFields fields, Path copy) throws IOException {
    try (ParquetFileReader parquet = ParquetFileReader.open(InputFile.of(file))) {
      List<String> known = new ArrayList<>();
      List<String> columns = new ArrayList<>();
      for (SchemaNode column : parquet.getFileSchema().getRootNode().children()) {
        known.add(column.name());
        if (fields.names().contains(column.name())) {
          columns.add(column.name());
        }
      }
      if (columns.isEmpty()) {
        throw new DataException(
            "%s has none of the fields %s, but %s; name the fields as the file does"
                .formatted(file, fields, known));
      }
      try (RowReader rows =
              parquet
                  .buildRowReader()
                  .projection(ColumnProjection.columns(columns.toArray(String[]::new)))
                  .build();
          OutputStream out = new BufferedOutputStream(Files.newOutputStream(copy), 1 << 16);
          JsonGenerator json = JsonLines.JSON.createGenerator(out)) {
        json.setRootValueSeparator(null);
        for (long row = 0; rows.hasNext(); row++) {
          rows.next();
          json.writeStartObject();
          for (String column : columns) {
            write(json, JsonLines.where(file.toString(), row), column, rows.getValue(column));
          }
          json.writeEndObject();
          json.writeRaw('\n');
        }
      }
    } catch (DataException e) {
      throw e;
    } catch (RuntimeException e) {
      throw new DataException(
          "%s is no parquet file that can be read: %s; copy or write it anew"
              .formatted(file, e.getMessage()),
          e);
    }
  }

  private static void write(JsonGenerator json, String where, String column, @Nullable Object value)
      throws IOException {
    json.writeFieldName(column);
    if (value instanceof PqList list) {
      json.writeStartArray();
      for (Object element : list.values()) {
        writeOne(json, where, column, element);
      }
      json.writeEndArray();
    } else {
      writeOne(json, where, column, value);
    }
  }

  private static void writeOne(
      JsonGenerator json, String where, String column, @Nullable Object value) throws IOException {
    switch (value) {
      case null -> json.writeNull();
      case String text -> json.writeString(text);
      case byte[] bytes -> json.writeString(text(where, column, bytes));
      case Integer number -> json.writeNumber(number);
      case Long number -> json.writeNumber(number);
      case Float number -> json.writeNumber(number);
      case Double number -> json.writeNumber(number);
      case Boolean truth -> json.writeBoolean(truth);
      default ->
          throw new DataException(
              "%s: %s holds a %s, which is no text, number or list of them; write it as one"
                  .formatted(where, column, value.getClass().getSimpleName()));
    }
  }

  static String text(String where, String column, byte[] utf8) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
    } catch (CharacterCodingException e) {
      throw new DataException(
          "%s: %s is not in UTF-8; write the file anew".formatted(where, column), e);
    }
  }

  @Override
  public int size() {
    return rows.size();
  }

  @Override
  public PromptedExample read(int index) {
    return rows.read(index);
  }

  @Override
  public void close() {
    rows.close();
  }
}
