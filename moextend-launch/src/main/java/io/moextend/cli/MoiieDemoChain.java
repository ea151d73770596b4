package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.WeightSource;
import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.DemoStages.Lesson;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.cli.MoiieDemoResults.Rival;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.PublishedJson;
import io.moextend.data.Talk;
import io.moextend.demo.DemoData;
import io.moextend.model.OpenModel;
import io.moextend.stage.ActivatedParameters;
import io.moextend.stage.RoutingCounter;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.Stage;
import io.moextend.stage.convert.LayerChoice;
import io.moextend.stage.convert.LogitCheck;
import io.moextend.stage.convert.LogitReceipt;
import io.moextend.stage.convert.Mixture;
import io.moextend.stage.convert.SourceModel;
import io.moextend.stage.convert.ToMixture;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Every stage in its order: text, projector, the mixtures, and each of the four its questions. */
final class MoiieDemoChain {
  // models, by the names they have in the report
  static final String CONNECTED = "before sft";
  static final String DENSE = "dense";
  static final String VANILLA = "vanilla MoE";
  static final String MODALITY = "modality MoE";
  static final String MOIIE = "MoIIE";

  private static final String TEXT_TEMPLATE = "phi3";
  private static final String CAPTION_TEMPLATE = "plain";
  private static final double BALANCE = 0.001;
  private static final int CHECKED = 64;

  private final DemoSettings settings;
  private final MoiieDemoPlan plan;
  private final DemoData world;
  private final Backend backend;
  private final DemoDiary diary;
  private final DemoSchool school;

  MoiieDemoChain(
      DemoSettings settings,
      MoiieDemoPlan plan,
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

  MoiieDemoResults run() {
    Trained pretrained = pretrained();
    Trained connected = connected(pretrained.model());
    Marks before = school.examine(CONNECTED, connected.model(), null);
    var balance = new Mixture.Balance(BALANCE, true);
    var rivals = new ArrayList<Rival>();
    rivals.add(rival(DENSE, "dense", connected.model(), null));
    rivals.add(
        grown(
            VANILLA,
            "vanilla",
            new Mixture.Vanilla(MoiieDemoPlan.EXPERTS, MoiieDemoPlan.CHOSEN, balance),
            connected.model()));
    rivals.add(grown(MODALITY, "modality", new Mixture.Modality(), connected.model()));
    rivals.add(
        grown(
            MOIIE,
            "moiie",
            new Mixture.Moiie(MoiieDemoPlan.EXPERTS, MoiieDemoPlan.CHOSEN, balance, balance),
            connected.model()));
    return new MoiieDemoResults(
        world,
        List.of(pretrained, connected),
        before,
        rivals,
        diary.parts(),
        diary.seconds(),
        backend.name() + ", " + backend.device());
  }

  private Trained pretrained() {
    return school.train(
        new Lesson(
            "pretrain-text",
            Stage.PRETRAIN_TEXT,
            DemoGround.blank(settings.output()),
            null,
            List.of(world.trainDialogues(), world.trainStatements()),
            TEXT_TEMPLATE,
            plan.pretrain()));
  }

  private Trained connected(Path pretrained) {
    return school.train(
        new Lesson(
            "pretrain",
            Stage.PRETRAIN,
            pretrained,
            DemoGround.tower(settings.output()),
            List.of(world.alignment()),
            CAPTION_TEMPLATE,
            plan.connect()));
  }

  /** A mixture whose experts are the dense model's networks, trained as that is. */
  private Rival grown(String name, String folder, Mixture mixture, Path dense) {
    Path grown = settings.output().resolve(folder + "-grown");
    LogitReceipt logits = diary.part("convert-moe: " + name, () -> convert(mixture, dense, grown));
    diary.note("largest change of any logit %s", logits.largestDifference());
    return rival(name, folder, grown, logits);
  }

  private LogitReceipt convert(Mixture mixture, Path dense, Path grown) {
    try (WeightSource weights = CheckpointFolder.open(dense)) {
      var source = new SourceModel(weights, PublishedJson.fileOf(dense), PublishedJson.read(dense));
      var check =
          new LogitCheck(backend, () -> CheckpointFolder.open(dense), CHECKED, settings.seed());
      return Objects.requireNonNull(
          ToMixture.of(source, mixture, new LayerChoice("odd"), OptionalLong.of(settings.seed()))
              .write(dense, grown, SafetensorsWriter.DEFAULT_SHARD_BYTES, check)
              .logits());
    }
  }

  /** The same samples in the same order, steps and rate, whatever the model. */
  private Rival rival(String name, String folder, Path base, @Nullable LogitReceipt logits) {
    Trained sft =
        school.train(
            new Lesson(
                "sft-" + folder,
                Stage.SFT,
                base,
                null,
                List.of(world.mixture()),
                Talk.AUTO,
                plan.sft()));
    Marks marks = school.examine(name, sft.model(), null);
    DecoderConfig config = HuggingFaceConfig.read(sft.model()).decoder();
    try (OpenModel model =
        OpenModel.of(
            CheckpointFolder.open(sft.model()),
            config,
            backend,
            settings.dtype().dtype(),
            Set.of(),
            settings.seed())) {
      @Nullable RoutingStatistics routing =
          config.feedForward() instanceof FeedForwardConfig.Mixed
              ? diary.part("routing: " + name, () -> routing(sft.model(), model))
              : null;
      return new Rival(name, sft, marks, ActivatedParameters.of(model.decoder()), logits, routing);
    }
  }

  private RoutingStatistics routing(Path folder, OpenModel model) {
    return school
        .examination()
        .withPictures(
            folder,
            batches ->
                new RoutingCounter(backend, model.decoder()).statistics(batches, (_, _) -> {}));
  }
}
