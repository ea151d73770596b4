package io.moextend.eval;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.T5Config;
import io.moextend.model.T5Batch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One of the batches in a trace's file: input_ids and labels [rows, length], names with {@code
 * prefix} before them. With {@code decoder_input_ids} these are given to the decoder, else labels
 * one place later; {@code encoder_segment_ids} and {@code decoder_segment_ids} tell examples of a
 * row apart.
 *
 * @param prefix "plain.", or nothing: then the batch is Hugging Face's, whose labels are -100 at
 *     padding and whose padding sees what the rest does
 * @param choices of each example where rows are scored, which follow each other; 0 = not scored
 */
record T5TraceBatch(String prefix, T5Batch batch, int choices) {
  private static final String IDS = "input_ids";
  private static final String LABELS = "labels";
  private static final int IGNORED = -100;

  boolean isHuggingFaces() {
    return prefix.isEmpty();
  }

  /**
   * @return at least one, by name
   * @throws CheckpointException where the file has none, or one that does not fit together
   */
  static List<T5TraceBatch> read(WeightSource source, T5Config config) {
    var batches = new ArrayList<T5TraceBatch>();
    for (String name : source.names()) {
      if (name.equals(IDS) || name.endsWith("." + IDS)) {
        String prefix = name.substring(0, name.length() - IDS.length());
        batches.add(new Reader(new TraceFile(source), prefix, config).batch());
      }
    }
    if (batches.isEmpty()) {
      throw CheckpointException.ofTensor(source.origin(), IDS, "is not in this file");
    }
    return batches;
  }

  /** The tensors of one prefix. */
  private record Reader(TraceFile file, String prefix, T5Config config) {
    T5TraceBatch batch() {
      TensorData inputs = table(IDS);
      TensorData labels = table(LABELS);
      int rows = Math.toIntExact(inputs.shape()[0]);
      if (labels.shape()[0] != rows) {
        throw wrong(LABELS, "has %d rows, input_ids %d".formatted(labels.shape()[0], rows));
      }
      int[] ids = ids(inputs);
      int[] targets = ids(labels);
      requirePadding(inputs, ids);
      int @Nullable [] inputSegments = like("encoder_segment_ids", inputs);
      int @Nullable [] targetSegments = like("decoder_segment_ids", labels);
      if ((inputSegments == null) != (targetSegments == null)) {
        throw wrong("encoder_segment_ids", "and decoder_segment_ids come together");
      }
      int start = config.tokens().start();
      T5Batch batch =
          inputSegments == null || targetSegments == null
              ? T5Batch.plain(rows, ids, targets, start)
              : T5Batch.packed(rows, ids, targets, inputSegments, targetSegments, start);
      int @Nullable [] given = like("decoder_input_ids", labels);
      if (given != null) {
        batch = batch.reading(given);
      }
      if (prefix.isEmpty()) {
        batch = batch.withOpenPadding();
      }
      return new T5TraceBatch(prefix, batch, choices(rows));
    }

    private TensorData table(String name) {
      TensorData data = file.tensor(prefix + name);
      if (data.shape().length != 2 || data.length() == 0) {
        throw wrong(
            name, "has shape %s, wanted [rows, length]".formatted(Arrays.toString(data.shape())));
      }
      return data;
    }

    /** Padding where nothing counts. */
    private int[] ids(TensorData data) {
      int[] ids = TraceFile.ints(data);
      for (int i = 0; i < ids.length; i++) {
        if (ids[i] == IGNORED) {
          ids[i] = config.tokens().pad();
        }
        if (ids[i] < 0 || ids[i] >= config.vocab()) {
          throw file.wrong(
              data.name(), "has %d, but the vocabulary %d".formatted(ids[i], config.vocab()));
        }
      }
      return ids;
    }

    /** Null where the file has none. */
    private int @Nullable [] like(String name, TensorData other) {
      TensorData data = file.optional(prefix + name);
      if (data == null) {
        return null;
      }
      requireShape(data, other);
      return TraceFile.ints(data);
    }

    private void requireShape(TensorData data, TensorData other) {
      if (!Arrays.equals(data.shape(), other.shape())) {
        throw file.wrong(
            data.name(),
            "has shape %s, %s %s"
                .formatted(
                    Arrays.toString(data.shape()), other.name(), Arrays.toString(other.shape())));
      }
    }

    /** A mask may say what the padding token says, and nothing else. */
    private void requirePadding(TensorData inputs, int[] ids) {
      TensorData mask = file.optional(prefix + "attention_mask");
      if (mask == null) {
        return;
      }
      requireShape(mask, inputs);
      byte[] seen = TraceFile.flags(mask);
      for (int i = 0; i < seen.length; i++) {
        if (seen[i] == 0 != (ids[i] == config.tokens().pad())) {
          throw file.wrong(
              mask.name(),
              "hides other places than those with the padding token %d"
                  .formatted(config.tokens().pad()));
        }
      }
    }

    private int choices(int rows) {
      TensorData correct = file.optional(prefix + "is_correct");
      if (correct == null) {
        return 0;
      }
      long[] shape = correct.shape();
      if (shape.length != 2 || shape[1] == 0 || shape[0] * shape[1] != rows) {
        throw wrong(
            "is_correct",
            "has shape %s, wanted [examples, choices] of %d rows"
                .formatted(Arrays.toString(shape), rows));
      }
      return Math.toIntExact(shape[1]);
    }

    private CheckpointException wrong(String name, String problem) {
      return file.wrong(prefix + name, problem);
    }
  }
}
