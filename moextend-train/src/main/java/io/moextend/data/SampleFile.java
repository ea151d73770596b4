package io.moextend.data;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.errorprone.annotations.MustBeClosed;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A file of samples: a JSON array, or one JSON object after another (JSONL). It is read through and
 * checked once when opened; afterwards only the places of the samples are held (12 bytes each) and
 * each is read when asked for. Any number of threads may read.
 */
public final class SampleFile implements AutoCloseable {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int BUFFER_BYTES = 1 << 20;

  private final Path file;
  private final KeptTurns kept;
  private final FileChannel channel;
  private long[] starts = new long[1024];
  private int[] lengths = new int[1024];
  private int size;

  private SampleFile(Path file, KeptTurns kept, FileChannel channel) {
    this.file = file;
    this.kept = kept;
    this.channel = channel;
  }

  /**
   * @param images where image files must be; null to leave them unchecked
   * @throws DataException if the file or any sample is wrong; names the sample and the mend
   */
  @MustBeClosed
  public static SampleFile open(Path file, KeptTurns kept, @Nullable ImageRoot images) {
    FileChannel channel;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be opened (%s); name a JSON or JSONL file of samples"
              .formatted(file, e.getMessage()),
          e);
    }
    try {
      SampleFile samples = new SampleFile(file, kept, channel);
      samples.readThrough(images);
      return samples;
    } catch (RuntimeException e) {
      try {
        channel.close();
      } catch (IOException closing) {
        e.addSuppressed(closing);
      }
      throw e;
    }
  }

  private void readThrough(@Nullable ImageRoot images) {
    try (InputStream bytes = new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES);
        JsonParser parser = JSON.createParser(bytes)) {
      boolean array = parser.nextToken() == JsonToken.START_ARRAY;
      JsonToken token = array ? parser.nextToken() : parser.currentToken();
      while (token != null && token != JsonToken.END_ARRAY) {
        if (token != JsonToken.START_OBJECT) {
          throw DataException.at(
              Sample.where(file.toString(), size + 1L, ""),
              "it is no JSON object; a file is a list of objects, or one object a line",
              null);
        }
        note(parser, images);
        token = parser.nextToken();
      }
      if (array && (token == null || parser.nextToken() != null)) {
        throw new DataException(
            "%s has something behind its list, or its list has no end; mend its end"
                .formatted(file));
      }
    } catch (JsonProcessingException e) {
      throw DataException.at(
          Sample.where(file.toString(), size + 1L, ""),
          "it is no JSON: %s (line %d); mend or cut the file there"
              .formatted(
                  e.getOriginalMessage(),
                  e.getLocation() == null ? -1 : e.getLocation().getLineNr()),
          e);
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
    }
    if (size == 0) {
      throw new DataException(file + " has no samples; is it the right file?");
    }
  }

  private void note(JsonParser parser, @Nullable ImageRoot images) throws IOException {
    long start = parser.currentTokenLocation().getByteOffset();
    JsonNode json = parser.readValueAsTree();
    long length = parser.currentLocation().getByteOffset() - start;
    if (start < 0) {
      throw new DataException(file + " is not in UTF-8; convert it");
    }
    if (size == starts.length) {
      starts = Arrays.copyOf(starts, Math.multiplyExact(2, size));
      lengths = Arrays.copyOf(lengths, 2 * size);
    }
    starts[size] = start;
    lengths[size] = Math.toIntExact(length);
    Sample sample = SampleFormat.read(json, file.toString(), size + 1L, kept);
    size++;
    if (images != null) {
      for (String path : sample.images()) {
        resolve(images, sample, path);
      }
    }
  }

  /** The file of one of a sample's images; errors name the sample. */
  static Path resolve(ImageRoot images, Sample sample, String path) {
    try {
      return images.resolve(path);
    } catch (DataException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
  }

  /** Number of samples. */
  public int size() {
    return size;
  }

  /**
   * @param index from 0
   */
  public Sample read(int index) {
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(file + " has " + size + " samples, not " + index);
    }
    ByteBuffer bytes = ByteBuffer.allocate(lengths[index]);
    try {
      while (bytes.hasRemaining() && channel.read(bytes, starts[index] + bytes.position()) >= 0) {}
      return SampleFormat.read(
          JSON.readTree(bytes.array(), 0, bytes.position()), file.toString(), index + 1L, kept);
    } catch (JsonProcessingException e) {
      throw new DataException(file + " changed while it was in use; start again", e);
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new DataException("%s cannot be closed: %s".formatted(file, e.getMessage()), e);
    }
  }
}
