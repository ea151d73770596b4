package io.moextend.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.JsonFile;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * PEFT's adapter_config.json. Fields that say nothing of a finished adapter are passed over, its
 * dropout among them; others have to have the value that changes nothing.
 *
 * @param file for messages
 */
record PeftConfig(Path file, ObjectNode json) {
  private static final Set<String> PASSED_OVER =
      Set.of(
          "auto_mapping",
          "base_model_name_or_path",
          "feedforward_modules",
          "inference_mode",
          "init_ia3_weights",
          "lora_alpha",
          "lora_dropout",
          "megatron_core",
          "peft_type",
          "peft_version",
          "qalora_group_size",
          "r",
          "revision",
          "runtime_config",
          "target_modules",
          "task_type",
          "use_rslora");

  /** Fields whose harmless value is neither absent nor empty. */
  private static final Map<String, Set<String>> HARMLESS =
      Map.of("bias", Set.of("none"), "init_lora_weights", Set.of("true", "gaussian"));

  /**
   * @throws CheckpointException where a field asks for what is not built
   */
  static PeftConfig read(Path file) {
    var config = new PeftConfig(file, JsonFile.read(file, ObjectNode.class));
    config.method();
    for (var field : config.json.properties()) {
      String name = field.getKey();
      if (!PASSED_OVER.contains(name) && !isHarmless(name, field.getValue())) {
        throw config.wrong(name, "is not supported; merge the adapter with PEFT instead");
      }
    }
    return config;
  }

  private static boolean isHarmless(String name, JsonNode value) {
    boolean empty =
        value.isNull()
            || value.isBoolean() && !value.booleanValue()
            || value.isContainerNode() && value.isEmpty()
            || value.isTextual() && value.textValue().isEmpty();
    return empty || HARMLESS.getOrDefault(name, Set.of()).contains(value.asText());
  }

  AdapterMethod method() {
    return switch (json.path("peft_type").asText()) {
      case "LORA" -> AdapterMethod.LORA;
      case "IA3" -> AdapterMethod.IA3;
      default -> throw wrong("peft_type", "known are LORA and IA3");
    };
  }

  /**
   * @param modules that have tensors
   */
  AdapterConfig adapter(SortedSet<String> modules) {
    AdapterConfig config = AdapterConfig.ia3();
    if (method() == AdapterMethod.LORA) {
      JsonNode rank = json.path("r");
      JsonNode alpha = json.path("lora_alpha");
      if (!rank.isInt() || rank.intValue() < 1) {
        throw wrong("r", "a whole number of at least 1 is wanted");
      }
      if (!alpha.isNumber() || !(alpha.doubleValue() > 0)) {
        throw wrong("lora_alpha", "a number above 0 is wanted");
      }
      // alpha / rank, or rank-stabilised alpha / √rank
      double root = json.path("use_rslora").asBoolean() ? Math.sqrt(rank.intValue()) : 1;
      config = AdapterConfig.lora(rank.intValue()).scaledBy(alpha.doubleValue() * root);
    }
    return config.at(sites(modules));
  }

  /** Ends of names where they are listed, else every module by name. */
  private List<String> sites(SortedSet<String> modules) {
    JsonNode targets = json.path("target_modules");
    if (!targets.isArray() || targets.isEmpty()) {
      return List.copyOf(modules);
    }
    var sites = new TreeSet<String>();
    targets.forEach(target -> sites.add(target.asText()));
    if (method() == AdapterMethod.IA3) {
      return sites.stream().map(s -> s.equals("wo") ? "wi_0" : s).toList();
    }
    return List.copyOf(sites);
  }

  /** What PEFT reads. */
  static ObjectNode of(AdapterConfig config, String base, Collection<String> modules) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    boolean twoStacks = modules.stream().anyMatch(m -> m.startsWith("encoder."));
    json.put("peft_type", config.method() == AdapterMethod.LORA ? "LORA" : "IA3");
    json.put("task_type", twoStacks ? "SEQ_2_SEQ_LM" : "CAUSAL_LM");
    json.put("base_model_name_or_path", base);
    json.put("inference_mode", true);
    json.put("fan_in_fan_out", false);
    json.putNull("modules_to_save");
    var ends = new TreeSet<String>();
    modules.forEach(module -> ends.add(Targets.last(module)));
    boolean words =
        config.sites().stream().anyMatch(Targets.WORDS::contains)
            || config.method() == AdapterMethod.IA3;
    (words ? ends : config.sites()).forEach(json.putArray("target_modules")::add);
    if (config.method() == AdapterMethod.LORA) {
      json.put("r", config.rank());
      json.put("lora_alpha", config.alpha());
      json.put("lora_dropout", 0.0);
      json.put("bias", "none");
      json.put("use_rslora", false);
      json.put("use_dora", false);
      json.put("init_lora_weights", true);
    } else {
      var hidden = json.putArray("feedforward_modules");
      ends.stream()
          .filter(end -> end.equals("wo") || Targets.inFeedForward(end))
          .forEach(hidden::add);
      json.put("init_ia3_weights", true);
    }
    return json;
  }

  private CheckpointException wrong(String field, String mend) {
    return new CheckpointException("%s: %s=%s: %s".formatted(file, field, json.path(field), mend));
  }
}
