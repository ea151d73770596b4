package io.moextend.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.array.Array;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.ModelConfig;
import io.moextend.config.T5Config;
import io.moextend.config.TowerConfig;
import io.moextend.config.VisionConfig;
import io.moextend.model.ParameterRoles;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What can be said of a folder.
 *
 * @param asked the folder, and its base where that was given
 * @param tensors true to list every one
 * @param fingerprint true to read every byte for it
 */
record FolderFacts(ModelFolder asked, boolean tensors, boolean fingerprint) {
  /**
   * @throws CheckpointException where the folder holds nothing that is known
   */
  ObjectNode read() {
    ObjectNode facts = JsonNodeFactory.instance.objectNode();
    facts.put("folder", asked.folder().toString());
    ModelFolder model = asked;
    if (RunFacts.isRun(asked.folder())) {
      var run = new RunFacts(asked.folder());
      facts.put("kind", "run");
      facts.set("run", run.read());
      Path holds = run.model();
      if (holds == null) {
        return facts;
      }
      facts.put("model", holds.toString());
      model = new ModelFolder(holds, DeltaCheckpoint.isIn(holds) ? asked.base() : null);
    }
    addModel(facts, model);
    return facts;
  }

  private void addModel(ObjectNode facts, ModelFolder model) {
    boolean delta = DeltaCheckpoint.isIn(model.folder());
    HuggingFaceConfig config = delta && model.base() == null ? null : model.config();
    if (delta) {
      put(facts, "kind", "delta");
      facts.put("base fingerprint", DeltaCheckpoint.baseOf(model.folder()).hex());
    } else {
      put(facts, "kind", isTower(config) ? "vision tower" : "whole model");
    }
    if (config != null) {
      addArchitecture(facts, config.model());
    }
    // a delta's own tensors; the base's are counted when the base is inspected
    try (WeightSource source =
        delta ? DeltaCheckpoint.open(model.folder()) : CheckpointFolder.open(model.folder())) {
      addTensors(facts, source, config);
    }
    addFiles(facts.putObject("files"), model.folder());
    if (fingerprint) {
      try (WeightSource whole =
          config == null ? DeltaCheckpoint.open(model.folder()) : model.weights()) {
        facts.put("fingerprint", Fingerprint.of(whole).hex());
      }
    }
    if (Files.exists(model.home().resolve("tokenizer.json"))) {
      addTokenizer(facts.putObject("tokenizer"), model.home());
    }
  }

  private static boolean isTower(@Nullable HuggingFaceConfig config) {
    return config != null && config.model() instanceof TowerConfig;
  }

  /** Unless a run's kind stands there. */
  private static void put(ObjectNode facts, String name, String value) {
    facts.put(facts.has(name) ? "model " + name : name, value);
  }

  private static void addArchitecture(ObjectNode facts, ModelConfig config) {
    switch (config) {
      case TowerConfig tower -> addTower(facts.putObject("vision"), tower);
      case T5Config t5 -> addT5(facts.putObject("architecture"), t5);
      case DecoderConfig decoder -> {
        addDecoder(facts.putObject("architecture"), decoder);
        VisionConfig vision = decoder.vision();
        if (vision != null) {
          ObjectNode section = facts.putObject("vision");
          addTower(section, vision.tower());
          section.put("projector", vision.projector());
          section.put("feature layer", vision.featureLayer());
          if (vision.marked()) {
            section.put("image start id", vision.imageStart());
          }
        }
      }
    }
  }

  private static void addT5(ObjectNode section, T5Config t5) {
    section.put("type", t5.modelType());
    section.put("encoder layers", t5.encoderLayers());
    section.put("decoder layers", t5.decoderLayers());
    section.put("hidden", t5.hidden());
    section.put("heads", t5.heads());
    section.put("head size", t5.headSize());
    section.put("vocabulary", t5.vocab());
    section.put("feed-forward width", t5.width());
  }

  private static void addDecoder(ObjectNode section, DecoderConfig decoder) {
    section.put("type", decoder.modelType());
    section.put("layers", decoder.layers());
    section.put("hidden", decoder.hidden());
    section.put("heads", decoder.heads().query());
    section.put("key-value heads", decoder.heads().keyValue());
    section.put("head size", decoder.heads().size());
    section.put("vocabulary", decoder.vocab());
    section.put("longest sequence", decoder.rope().maxPositions());
    if (decoder.window() > 0) {
      section.put("keys a query sees", decoder.window());
    }
    section.put("feed-forward width", decoder.feedForward().width());
    if (decoder.feedForward() instanceof FeedForwardConfig.Experts experts) {
      section.put("pretrained experts", experts.count());
      section.put("experts a token", experts.topK());
      var extended = section.putArray("extended layers");
      experts.extendedLayers().forEach(extended::add);
    }
    if (decoder.feedForward() instanceof FeedForwardConfig.Mixed mixed) {
      section.put("experts of a layer", mixed.scheme().experts());
      section.put("experts a token", mixed.scheme().topK());
      var layers = section.putArray("layers with experts");
      mixed.layers().forEach(layers::add);
    }
  }

  private static void addTower(ObjectNode section, TowerConfig tower) {
    section.put("tower", tower.modelType());
    section.put("tower layers", tower.layers());
    section.put("tower hidden", tower.hidden());
    section.put("image size", tower.imageSize());
    section.put("patches", tower.patches());
  }

  private void addTensors(
      ObjectNode facts, WeightSource source, @Nullable HuggingFaceConfig config) {
    var byRole = new TreeMap<String, long[]>();
    var byType = new TreeMap<String, Long>();
    long all = 0;
    ObjectNode listed = JsonNodeFactory.instance.objectNode();
    for (String name : source.names()) {
      TensorData tensor = source.tensor(name);
      long elements = Array.sizeOf(tensor.shape());
      all += elements;
      byType.merge(tensor.dtype().toString(), elements, Long::sum);
      String role = role(name, config);
      long[] row = byRole.computeIfAbsent(role, r -> new long[2]);
      row[0]++;
      row[1] += elements;
      ObjectNode line = listed.putObject(name);
      line.put("dtype", tensor.dtype().toString());
      for (long size : tensor.shape()) {
        line.withArray("shape").add(size);
      }
      line.put("role", role);
    }
    ObjectNode parameters = facts.putObject("parameters");
    long total = all;
    byRole.forEach((role, row) -> addRow(parameters.putObject(role), row[0], row[1], total));
    addRow(parameters.putObject("all"), source.names().size(), all, total);
    ObjectNode types = facts.putObject("types");
    byType.forEach(types::put);
    if (tensors) {
      facts.set("tensors", listed);
    }
  }

  private static void addRow(ObjectNode row, long tensors, long elements, long total) {
    row.put("tensors", tensors);
    row.put("elements", elements);
    row.put("share", total == 0 ? 0 : (double) elements / total);
  }

  private static String role(String name, @Nullable HuggingFaceConfig config) {
    if (config == null) {
      return "unknown without --base";
    }
    return switch (config.model()) {
      case TowerConfig tower -> "vision tower";
      case DecoderConfig decoder -> ParameterRoles.of(name, decoder).words();
      case T5Config t5 -> ParameterRoles.of(name, t5).words();
    };
  }

  private static void addFiles(ObjectNode section, Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList()) {
        section.put(String.valueOf(file.getFileName()), Files.size(file));
      }
    } catch (IOException e) {
      throw new CheckpointException(folder + ": cannot be read (" + e + ")", e);
    }
  }

  private static void addTokenizer(ObjectNode section, Path folder) {
    try (Tokenizer tokenizer = Tokenizer.open(folder)) {
      section.put("vocabulary", tokenizer.vocabularySize());
      section.put("start id", tokenizer.bos());
      section.put("end id", tokenizer.eos());
      section.put("padding id", tokenizer.pad());
      section.put("image token", tokenizer.added("<image>") >= 0);
    }
  }
}
