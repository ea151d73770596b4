package io.moextend.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.ModelConfig;
import io.moextend.config.PublishedJson;
import io.moextend.config.T5Config;
import io.moextend.config.TowerConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Adapters as a folder has them, whoever wrote it: this program ({@link AdapterFolder}), PEFT
 * ({@link PeftFolder}), or who made the reference cases: adapter.safetensors beside a config.json
 * whose field "adapter" says {method, experts, rank, alpha, top_k, sites}, null where the method
 * has none.
 *
 * @param weights as a model's parameters have them; to be closed
 */
public record StoredAdapter(AdapterConfig config, WeightSource weights) {
  private static final String FIELD = "adapter";

  /** True where a folder says that it holds adapters, in our files or PEFT's. */
  public static boolean isIn(Path folder) {
    return AdapterFolder.isIn(folder) || PeftFolder.isIn(folder);
  }

  /**
   * @param model that they were made for
   * @throws CheckpointException where the folder has none, or one that cannot be read
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static StoredAdapter open(Path folder, ModelConfig model) {
    StoredAdapter found = find(folder, model);
    if (found == null) {
      throw new CheckpointException(
          "%s: has neither %s nor %s nor %s; name the folder of a trained adapter"
              .formatted(folder, AdapterFolder.CONFIG, PeftFolder.CONFIG, AdapterFolder.WEIGHTS));
    }
    return found;
  }

  /**
   * As {@link #open}, of a folder that may have none.
   *
   * @return null where it has none
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static @Nullable StoredAdapter find(Path folder, ModelConfig model) {
    if (AdapterFolder.isIn(folder)) {
      return new StoredAdapter(AdapterFolder.config(folder), AdapterFolder.open(folder));
    }
    if (PeftFolder.isIn(folder)) {
      PeftFolder.Read read = PeftFolder.open(folder, module -> heads(model, Targets.last(module)));
      return new StoredAdapter(read.config(), read.weights());
    }
    return Files.exists(folder.resolve(AdapterFolder.WEIGHTS))
        ? new StoredAdapter(published(folder), AdapterFolder.open(folder))
        : null;
  }

  /**
   * How many heads a product is split into; a decoder may have fewer of keys and values than of
   * queries.
   */
  private static int heads(ModelConfig model, String last) {
    return switch (model) {
      case T5Config t5 -> t5.heads();
      case TowerConfig tower -> tower.heads();
      case DecoderConfig decoder -> {
        int queries = decoder.heads().query();
        int keys = decoder.heads().keyValue();
        yield switch (last) {
          case "q_proj" -> queries;
          case "qkv_proj" -> queries + 2 * keys;
          default -> keys;
        };
      }
    };
  }

  private static AdapterConfig published(Path folder) {
    Path file = folder.resolve(HuggingFaceConfig.FILE);
    JsonNode json = Files.exists(file) ? PublishedJson.read(file).path(FIELD) : null;
    if (json == null || !json.isObject()) {
      throw new CheckpointException(
          "%s: has no %s beside it that says what it is"
              .formatted(folder.resolve(AdapterFolder.WEIGHTS), AdapterFolder.CONFIG));
    }
    try {
      return published(json);
    } catch (ConfigException e) {
      throw new ConfigException(file + ": " + e.getMessage(), e);
    }
  }

  private static AdapterConfig published(JsonNode json) {
    AdapterMethod method = method(json.path("method"));
    var config = AdapterConfig.of(method, count(json, "experts"), count(json, "rank"));
    int topK = count(json, "top_k");
    if (topK > 0) {
      config = config.choosing(topK);
    }
    JsonNode alpha = json.path("alpha");
    if (method.isAdditive() && alpha.isNumber()) {
      config = config.scaledBy(alpha.doubleValue());
    }
    List<String> sites = sites(json.path("sites"));
    return sites.isEmpty() ? config : config.at(sites);
  }

  private static AdapterMethod method(JsonNode word) {
    for (AdapterMethod method : AdapterMethod.values()) {
      if (method.word().equals(word.asText().toLowerCase(Locale.ROOT))) {
        return method;
      }
    }
    throw new ConfigException(FIELD + ".method", word, "known are ia3, lora, mov, molora");
  }

  /** 0 where it is null or not there. */
  private static int count(JsonNode json, String field) {
    JsonNode value = json.path(field);
    if (value.isNull() || value.isMissingNode()) {
      return 0;
    }
    if (!value.canConvertToInt() || !value.isIntegralNumber() || value.intValue() < 0) {
      throw new ConfigException(FIELD + "." + field, value, "write a whole number, or null");
    }
    return value.intValue();
  }

  /** "attention.k" and "mlp.wi_0" are the modules called k and wi_0. */
  private static List<String> sites(JsonNode listed) {
    var sites = new ArrayList<String>();
    listed.forEach(site -> sites.add(Targets.last(site.asText())));
    return sites;
  }
}
