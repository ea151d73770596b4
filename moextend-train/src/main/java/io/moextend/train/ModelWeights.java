package io.moextend.train;

import io.moextend.adapter.StoredAdapter;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.GrownVocabulary;
import io.moextend.checkpoint.Prefixed;
import io.moextend.checkpoint.Renamed;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.Union;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.ProjectorType;
import io.moextend.config.VisionConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;

/**
 * The weights of a run's model from all folders that hold some.
 *
 * @param wanted the whole model, vision included
 * @param seed of vocabulary rows that the base does not have
 */
record ModelWeights(ModelSection section, DecoderConfig wanted, long seed) {
  private static final String INNER = "vision_model.";

  /** In the name of every projector's tensor, whoever wrote it. */
  private static final String PROJECTOR = "mm_projector.";

  WeightSource open() {
    Path delta = section.delta();
    Path adapter = delta != null && StoredAdapter.isIn(delta) ? delta : null;
    WeightSource all =
        delta == null || adapter != null
            ? CheckpointFolder.open(section.base())
            : CheckpointFolder.open(delta, section.base());
    try {
      if (HuggingFaceConfig.read(section.base()).decoder().vocab() < wanted.vocab()) {
        all = new GrownVocabulary(all, wanted.vocab(), wanted.initializerRange(), seed);
      }
      all = withProjector(withTower(all));
      if (adapter != null) {
        all = withAdapter(all, adapter);
      }
      requireWidth(all);
      return all;
    } catch (RuntimeException e) {
      all.close();
      throw e;
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // in the result, which closes it
  private WeightSource withAdapter(WeightSource base, Path folder) {
    WeightSource adapter = StoredAdapter.open(folder, wanted).weights();
    try {
      return new Union(List.of(base, adapter));
    } catch (RuntimeException e) {
      adapter.close();
      throw e;
    }
  }

  private Eyes eyes() {
    return wanted.type().eyes();
  }

  private WeightSource withTower(WeightSource base) {
    Path tower = section.visionTower();
    if (tower == null) {
      return base;
    }
    String prefix = eyes().tower() + ".";
    requireNone(base, prefix, "a vision tower already; leave out model.vision_tower");
    // a whole CLIP or SigLIP has a text side too; DINOv2's names have nothing before them
    WeightSource weights = CheckpointFolder.open(tower);
    boolean within = weights.names().stream().anyMatch(name -> name.startsWith(INNER));
    var alone = new Selected(weights, name -> !within || name.startsWith(INNER));
    return new Union(List.of(base, new Prefixed(alone, prefix)));
  }

  private WeightSource withProjector(WeightSource base) {
    Path folder = section.projector();
    if (folder == null) {
      return base;
    }
    String prefix = eyes().projector() + ".";
    requireNone(base, prefix, "a projector already; leave out model.projector");
    WeightSource found =
        DeltaCheckpoint.isIn(folder) ? DeltaCheckpoint.open(folder) : CheckpointFolder.open(folder);
    try {
      return new Union(List.of(base, projector(found, prefix)));
    } catch (RuntimeException e) {
      found.close();
      throw e;
    }
  }

  private static WeightSource projector(WeightSource found, String prefix) {
    var from = new TreeMap<String, String>();
    for (String name : found.names()) {
      int at = name.indexOf(PROJECTOR);
      String other =
          at < 0 ? null : from.put(prefix + name.substring(at + PROJECTOR.length()), name);
      if (other != null) {
        throw CheckpointException.ofTensor(
            found.origin(), name, "is there a second time as " + other + "; take one out");
      }
    }
    if (from.isEmpty()) {
      throw new CheckpointException(
          "%s: holds no tensor of a projector, whose names have %s in them; name the result of the"
                  .formatted(found.origin(), PROJECTOR)
              + " stage that trained one: OUT/model");
    }
    return new Renamed(found, from);
  }

  private static void requireNone(WeightSource base, String prefix, String what) {
    if (base.names().stream().anyMatch(name -> name.startsWith(prefix))) {
      throw new CheckpointException(base.origin() + " holds " + what);
    }
  }

  /** A projector of one scale in a model of several, above all. */
  private void requireWidth(WeightSource all) {
    VisionConfig vision = wanted.vision();
    if (vision == null) {
      return;
    }
    String first =
        switch (vision.projectorType()) {
          case ProjectorType.Linear() -> ".weight";
          case ProjectorType.Perceptron _ -> ".0.weight";
          default -> null;
        };
    String name = eyes().projector() + first;
    if (first == null || !all.names().contains(name)) {
      return;
    }
    long[] shape = all.tensor(name).shape();
    if (shape.length != 2 || shape[1] == vision.features()) {
      return;
    }
    int scales = Math.max(1, vision.scales().size());
    throw CheckpointException.ofTensor(
        all.origin(),
        name,
        "reads image features %d wide, and this model's are %d wide: %s of a tower %d wide; train"
                .formatted(
                    shape[1],
                    vision.features(),
                    scales == 1 ? "one scale" : scales + " scales",
                    vision.tower().hidden())
            + " the projector with the tower and the model.s2_scales of this run, or write those"
            + " here that it was trained with");
  }
}
