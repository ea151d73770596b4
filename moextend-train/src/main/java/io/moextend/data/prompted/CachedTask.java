package io.moextend.data.prompted;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One split of a task as SeqIO caches it: a folder with {@code info.SPLIT.json}, {@code
 * stats.SPLIT.json} and shards {@code SPLIT.tfrecord-00000-of-000NN}. Of a mixture many tasks are
 * drawn late, so shards are opened at the first example; until then stats tell how many there are.
 */
final class CachedTask implements Examples {
  private static final long LARGEST_JSON_BYTES = 1 << 20;

  private final Path folder;
  private final String split;
  private final ExampleFields fields;
  private final List<Path> shards;
  private final int size;
  private @Nullable Concatenated opened;

  private CachedTask(Path folder, String split, ExampleFields fields) {
    this.folder = folder;
    this.split = split;
    this.fields = fields;
    this.shards = shards(folder, split);
    JsonNode info = json("info");
    JsonNode stats = json("stats");
    int wanted = info.path("num_shards").asInt(shards.size());
    if (wanted != shards.size()) {
      throw new DataException(
          "%s: %s says %d shards, there are %d; copy the folder anew"
              .formatted(folder, name("info"), wanted, shards.size()));
    }
    JsonNode examples = stats.path("examples");
    this.size = examples.canConvertToInt() ? examples.asInt() : open().size();
  }

  /**
   * @throws DataException if the folder has no such split, or a shard is missing
   */
  static CachedTask open(Path folder, String split, ExampleFields fields) {
    return new CachedTask(folder, split, fields);
  }

  private static List<Path> shards(Path folder, String split) {
    Pattern shard = Pattern.compile(Pattern.quote(split) + "\\.tfrecord-(\\d{5})-of-(\\d{5})");
    var found = new ArrayList<Path>();
    String of = null;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        Matcher name = shard.matcher(file.getFileName().toString());
        if (name.matches()) {
          found.add(file);
          of = of == null ? name.group(2) : of;
        }
      }
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be read (%s); name the folder of a cached task"
              .formatted(folder, e.getMessage()),
          e);
    }
    if (of == null) {
      throw new DataException(
          "%s has no %s.tfrecord-00000-of-NNNNN; name the folder of a cached task, and one of its splits"
              .formatted(folder, split));
    }
    var shards = new ArrayList<Path>();
    for (int i = 0; i < Integer.parseInt(of); i++) {
      Path wanted = folder.resolve("%s.tfrecord-%05d-of-%s".formatted(split, i, of));
      if (!found.remove(wanted)) {
        throw new DataException(wanted + " is missing; copy the folder anew");
      }
      shards.add(wanted);
    }
    if (!found.isEmpty()) {
      throw new DataException(
          "%s does not belong to the %s shards beside it; take it out"
              .formatted(found.getFirst(), of));
    }
    return shards;
  }

  private String name(String kind) {
    return "%s.%s.json".formatted(kind, split);
  }

  /** A missing file is one without fields. */
  private JsonNode json(String kind) {
    Path file = folder.resolve(name(kind));
    try {
      if (!Files.exists(file)) {
        return JsonLines.JSON.createObjectNode();
      }
      if (Files.size(file) > LARGEST_JSON_BYTES) {
        throw new DataException(file + " is far too large; copy it anew");
      }
      return JsonLines.JSON.readTree(Files.readAllBytes(file));
    } catch (JsonProcessingException e) {
      throw new DataException(
          "%s is no JSON: %s; copy it anew".formatted(file, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new DataException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // in "opened", which close() closes
  private synchronized Concatenated open() {
    Concatenated known = opened;
    if (known == null) {
      var parts = new ArrayList<Examples>();
      try {
        for (Path shard : shards) {
          parts.add(RecordExamples.open(shard, fields));
        }
      } catch (RuntimeException e) {
        Concatenated.closeAll(parts);
        throw e;
      }
      known = new Concatenated(parts);
      opened = known;
    }
    return known;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public PromptedExample read(int index) {
    Concatenated examples = open();
    if (examples.size() != size) {
      throw new DataException(
          "%s: %s says %,d examples, its shards have %,d; copy the folder anew"
              .formatted(folder, name("stats"), size, examples.size()));
    }
    return examples.read(index);
  }

  @Override
  public synchronized void close() {
    if (opened != null) {
      opened.close();
      opened = null;
    }
  }
}
