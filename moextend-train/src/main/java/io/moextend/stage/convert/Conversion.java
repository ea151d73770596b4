package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof.Print;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.PublishedJson;
import io.moextend.stage.CompanionFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of each tensor of a model, and of its config.json; nothing is read before {@link
 * #write}.
 *
 * @param type what the model becomes
 * @param layers those with experts before or after
 * @param from every tensor that is taken over, by its new name, to the name it has in the source
 * @param drawn tensors that the source does not have
 */
public record Conversion(
    SourceModel source,
    PublishedType type,
    ObjectNode config,
    SortedSet<Integer> layers,
    SortedMap<String, String> from,
    List<TensorStream> drawn) {
  public Conversion {
    layers = Collections.unmodifiableSortedSet(new TreeSet<>(layers));
    from = Collections.unmodifiableSortedMap(new TreeMap<>(from));
    drawn = List.copyOf(drawn);
  }

  /** Tensors of the source that the converted model does without. */
  public SortedSet<String> dropped() {
    var dropped = new TreeSet<>(source.weights().names());
    dropped.removeAll(from.values());
    return dropped;
  }

  /**
   * True where the converted model must say what the source says: where what is left out beside
   * routers is a copy of what stays.
   */
  boolean keepsAnswers() {
    SortedSet<String> dropped = dropped();
    for (int layer : layers) {
      String prefix = SourceModel.tensor(layer, "");
      for (String weight : source.type().family().weights()) {
        List<Print> others =
            dropped.stream()
                .filter(name -> name.startsWith(prefix) && name.endsWith("." + weight))
                .map(name -> Print.of(source.weights().stream(name)))
                .distinct()
                .toList();
        if (!others.isEmpty()
            && !others.equals(List.of(Print.of(source.weights().stream(stays(layer, weight)))))) {
          return false;
        }
      }
    }
    return true;
  }

  /** The source's tensor that a layer's network, or all of its experts, are copies of. */
  private String stays(int layer, String weight) {
    String dense = SourceModel.tensor(layer, weight);
    return from.getOrDefault(dense, dense);
  }

  /** As below, without asking the two models anything. */
  public ConversionReceipt write(Path beside, Path output, long maxShardBytes) {
    return write(beside, output, maxShardBytes, null);
  }

  /**
   * Writes the converted model as a Hugging Face folder, reads it back and compares, and only then
   * lets it appear under its name. Takes a few MiB of memory, however large the model; the check
   * takes what it says.
   *
   * @param beside the source's folder, whose tokenizer and generation files go along
   * @param maxShardBytes of one file's tensors
   * @param check compares the two models' answers; null leaves that out
   * @throws CheckpointException where the disk refuses, or what was written is not what was read
   * @throws DifferentAnswersException where the two models say different things
   */
  public ConversionReceipt write(
      Path beside, Path output, long maxShardBytes, @Nullable LogitCheck check) {
    var receipt = new ArrayList<ConversionReceipt>();
    AtomicFolder.write(
        output,
        folder -> {
          SafetensorsWriter.writeModel(folder, tensors(), maxShardBytes);
          CompanionFiles.copy(beside, folder);
          PublishedJson.write(config, folder.resolve(HuggingFaceConfig.FILE));
          try (WeightSource written = CheckpointFolder.open(folder)) {
            receipt.add(ConversionReceipt.of(this, written));
          }
          if (check != null) {
            receipt.set(0, receipt.getFirst().with(check.measure(this, folder)));
          }
          receipt.getFirst().write(folder.resolve(ConversionReceipt.FILE));
        });
    return receipt.getFirst();
  }

  private List<TensorStream> tensors() {
    var tensors = new ArrayList<>(drawn);
    from.forEach(
        (name, old) -> {
          TensorStream tensor = source.weights().stream(old);
          tensors.add(new TensorStream(name, tensor.dtype(), tensor.shape(), tensor.content()));
        });
    return tensors;
  }
}
