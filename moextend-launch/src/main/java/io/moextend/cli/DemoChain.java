package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Lesson;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.demo.DemoData;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.InitReceipt;
import io.moextend.stage.Stage;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every stage in its order, and each model asked when it is made. */
final class DemoChain {
  // models, by the names they have in the report
  static final String PRETRAINED = "pretrained";
  static final String ALIGNED = "aligned";
  static final String ROUTED = "routers tuned";
  static final String GROWN = "grown";
  static final String EXTENDED = "extended";
  static final String FULL = "full finetuning";

  private final DemoSettings settings;
  private final DemoPlan plan;
  private final DemoData world;
  private final Backend backend;
  private final DemoDiary diary;
  private final DemoSchool school;
  private final List<Trained> trained = new ArrayList<>();
  private final List<Marks> marks = new ArrayList<>();

  private record Grown(Path model, DemoExtension.Counted counted, InitReceipt receipt) {}

  DemoChain(
      DemoSettings settings,
      DemoPlan plan,
      DemoData world,
      Backend backend,
      DemoDiary diary,
      PrintStream out) {
    this.settings = settings;
    this.plan = plan;
    this.world = world;
    this.backend = backend;
    this.diary = diary;
    this.school = new DemoSchool(settings, world, backend, diary, out);
  }

  DemoResults run() {
    List<Path> talk = List.of(world.instructions());
    Trained pretrained = pretrained();
    Trained aligned = aligned(pretrained.model());
    Trained routed =
        train(
            new Lesson(
                "extension", Stage.EXTENSION, aligned.model(), null, talk, plan.extension()));
    examine(ROUTED, routed.model(), null);
    Grown grown = grown(aligned.model(), routed.model());
    Trained finetuned =
        train(new Lesson("finetune", Stage.FINETUNE, grown.model(), null, talk, plan.finetune()));
    examine(EXTENDED, finetuned.model(), null);
    Trained full =
        train(new Lesson("full", Stage.FULL, aligned.model(), null, talk, plan.finetune()));
    examine(FULL, full.model(), null);
    DemoResults.Frozen frozen =
        diary.part("frozen proof", () -> frozen(finetuned, pretrained.model()));
    return new DemoResults(
        world,
        trained,
        marks,
        grown.counted(),
        grown.receipt(),
        frozen,
        diary.parts(),
        diary.seconds(),
        backend.name() + ", " + backend.device());
  }

  private Trained pretrained() {
    List<Path> texts = List.of(world.trainDialogues(), world.trainStatements());
    Path blank = DemoGround.blank(settings.output());
    Trained made =
        train(
            new Lesson("pretrain-text", Stage.PRETRAIN_TEXT, blank, null, texts, plan.pretrain()));
    examine(PRETRAINED, made.model(), DemoGround.tower(settings.output()));
    return made;
  }

  private Trained aligned(Path pretrained) {
    Path tower = DemoGround.tower(settings.output());
    List<Path> captions = List.of(world.alignment());
    Trained made =
        train(
            new Lesson(
                "alignment", Stage.ALIGNMENT, pretrained, tower, captions, plan.alignment()));
    examine(ALIGNED, made.model(), null);
    return made;
  }

  private Grown grown(Path before, Path after) {
    var extension = new DemoExtension(settings, world, backend);
    DemoExtension.Counted counted =
        diary.part("expert-distribution", () -> extension.count(before, after));
    ExtensionPlan chosen = counted.plan();
    chosen.write(settings.output().resolve("extension.json"));
    Path model = settings.output().resolve("grown");
    InitReceipt receipt = diary.part("init-expert", () -> extension.grow(after, chosen, model));
    diary.note(
        "layers %s get an expert; largest logit change %s with the new gates masked, %s unmasked",
        chosen.addLayer(), receipt.masked(), receipt.unmasked());
    examine(GROWN, model, null);
    return new Grown(model, counted, receipt);
  }

  /** Every frozen tensor of the finetuning, and every tensor of the old language model. */
  private static DemoResults.Frozen frozen(Trained finetuned, Path pretrained) {
    FrozenProof proof = finetuned.proof();
    try (WeightSource now = CheckpointFolder.open(finetuned.model());
        WeightSource then = CheckpointFolder.open(pretrained)) {
      FrozenProof old = FrozenProof.of(then);
      return new DemoResults.Frozen(
          proof.tensors().size(),
          proof.verify(now),
          Fingerprint.of(proof).hex(),
          old.tensors().size(),
          old.verify(now));
    }
  }

  private Trained train(Lesson lesson) {
    Trained made = school.train(lesson);
    trained.add(made);
    return made;
  }

  private void examine(String name, Path model, @Nullable Path tower) {
    marks.add(school.examine(name, model, tower));
  }
}
