package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The model that is converted: its config.json and the names and shapes of its tensors. */
public final class SourceModel {
  /** No vision tower's: those of the published files do not start with model.layers. */
  private static final Pattern FEED_FORWARD =
      Pattern.compile("model\\.layers\\.(\\d{1,9})\\.mlp\\.(.+)");

  private final WeightSource weights;
  private final Path file;
  private final ObjectNode config;
  private final PublishedType type;
  private final SortedMap<Integer, SortedSet<String>> networks = new TreeMap<>();

  /**
   * @param weights stays the caller's
   * @param file where the config was read from, for messages
   * @throws ConfigException where the config is of a model that is not converted
   * @throws CheckpointException where the tensors are of more layers than the config says
   */
  public SourceModel(WeightSource weights, Path file, ObjectNode config) {
    this.weights = weights;
    this.file = file;
    this.config = config.deepCopy();
    this.type = PublishedType.named(config.path("model_type"), file);
    for (String name : weights.names()) {
      Matcher match = FEED_FORWARD.matcher(name);
      if (match.matches()) {
        int layer = Integer.parseInt(match.group(1));
        if (layer >= layers()) {
          throw CheckpointException.ofTensor(
              weights.origin(),
              name,
              "%s has %d layers; are weights and config of one model?".formatted(file, layers()));
        }
        networks.computeIfAbsent(layer, _ -> new TreeSet<>()).add(match.group(2));
      }
    }
  }

  WeightSource weights() {
    return weights;
  }

  PublishedType type() {
    return type;
  }

  /** A copy. */
  ObjectNode config() {
    return config.deepCopy();
  }

  Path file() {
    return file;
  }

  int layers() {
    return count("num_hidden_layers");
  }

  int hidden() {
    return count("hidden_size");
  }

  /** A field of config.json; null counts as missing, as in Hugging Face's own reader. */
  JsonNode field(String name) {
    JsonNode value = config.path(name);
    return value.isNull() ? MissingNode.getInstance() : value;
  }

  /** A whole number of config.json, at least 1. */
  int count(String field) {
    JsonNode value = field(field);
    if (!value.isInt() || value.intValue() < 1) {
      throw new ConfigException(
          file + ": " + field,
          value.isMissingNode() ? "absent" : value,
          "write a whole number of at least 1");
    }
    return value.intValue();
  }

  int count(String field, int ifAbsent) {
    return field(field).isMissingNode() ? ifAbsent : count(field);
  }

  /** Standard deviation that fresh matrices of this model are drawn with. */
  double initializerRange() {
    JsonNode value = field("initializer_range");
    if (value.isMissingNode()) {
      return 0.02;
    }
    if (!value.isNumber() || !(value.doubleValue() > 0)) {
      throw new ConfigException(file + ": initializer_range", value, "write a number above 0");
    }
    return value.doubleValue();
  }

  static String tensor(int layer, String below) {
    return "model.layers.%d.mlp.%s".formatted(layer, below);
  }

  /**
   * @param wanted what must lie below the layer's mlp
   * @param allowed what may lie there beside it
   * @throws CheckpointException naming the tensor that is missing or too many
   */
  void requireBelow(int layer, Collection<String> wanted, Set<String> allowed) {
    SortedSet<String> found = networks.getOrDefault(layer, new TreeSet<>());
    for (String below : wanted) {
      if (!found.contains(below)) {
        throw CheckpointException.ofTensor(
            weights.origin(),
            tensor(layer, below),
            "is missing; a %s layer %s has it".formatted(type.modelType(), kind(below)));
      }
    }
    for (String below : found) {
      if (!wanted.contains(below) && !allowed.contains(below)) {
        throw CheckpointException.ofTensor(
            weights.origin(),
            tensor(layer, below),
            "is no part of layer %d of the %s that %s describes"
                .formatted(layer, type.modelType(), file));
      }
    }
  }

  private static String kind(String below) {
    return below.contains("expert") ? "with experts" : "without experts";
  }

  /**
   * @param network below the layer's mlp and ending in a dot, or empty for a dense layer
   * @throws CheckpointException where a matrix of it does not have the config's size
   */
  void requireShapes(int layer, String network) {
    for (String weight : type.family().weights()) {
      TensorStream tensor = weights.stream(tensor(layer, network + weight));
      long[] wanted = Family.shape(weight, hidden(), count("intermediate_size"));
      if (!Arrays.equals(tensor.shape(), wanted)) {
        throw CheckpointException.ofTensor(
            weights.origin(),
            tensor.name(),
            "has shape %s, hidden_size and intermediate_size of %s make it %s"
                .formatted(Arrays.toString(tensor.shape()), file, Arrays.toString(wanted)));
      }
    }
  }
}
