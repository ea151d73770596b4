package io.moextend.cli;

import io.moextend.checkpoint.FrozenProof;
import io.moextend.cli.DemoStages.Trained;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.TowerConfig;
import io.moextend.demo.DemoData;
import io.moextend.report.Block;
import io.moextend.report.Details;
import io.moextend.report.Numbers;
import io.moextend.report.Paragraph;
import io.moextend.report.Section;
import io.moextend.report.Table;
import io.moextend.report.TrainingReport;
import io.moextend.stage.InitReceipt;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/** How the demo's stages went: losses, proof, time and memory, settings. */
record DemoCourse(DemoSettings settings, DemoPlan plan, DemoResults results) {
  Section proof() {
    DemoResults.Frozen frozen = results.frozen();
    InitReceipt receipt = results.receipt();
    List<List<String>> rows =
        List.of(
            List.of(
                "frozen in finetuning, byte for byte as before it",
                "%d of %d tensors"
                    .formatted(frozen.tensors() - frozen.moved().size(), frozen.tensors())),
            List.of("their fingerprint", frozen.fingerprint()),
            List.of(
                "of the pretrained language model, byte for byte in the extended one",
                "%d of %d tensors".formatted(frozen.old() - frozen.changed().size(), frozen.old())),
            List.of(
                "largest logit change by init-expert, new gates masked",
                Numbers.compact(receipt.masked())),
            List.of(
                "largest logit change by init-expert, new experts in place",
                Numbers.compact(receipt.unmasked())));
    List<Block> blocks = new ArrayList<>();
    blocks.add(
        new Paragraph(
            "A SHA-256 of every tensor was taken before and compared after. The extension stage trains the old"
                + " routers, as the paper has it, so those of the pretrained tensors that differ are router gates;"
                + " attention, experts, embeddings and norms are what they were."));
    blocks.add(
        new Table(
            "Proof", List.of(Table.Column.words("What"), Table.Column.words("Measured")), rows));
    if (!frozen.changed().isEmpty()) {
      blocks.add(
          new Details(
              "The pretrained tensors that differ",
              List.of(
                  new Paragraph(
                      String.join(
                          ", ",
                          frozen.changed().stream().map(FrozenProof.Difference::name).toList())))));
    }
    return new Section("Frozen proof", blocks);
  }

  Section settingsTable() {
    var all = new LinkedHashMap<String, String>();
    DecoderConfig model = plan.languageModel().decoder();
    TowerConfig tower = DemoTower.config(DemoPlan.TOWER_LAYERS).tower();
    all.put("language model", shape(model));
    all.put(
        "vision tower",
        "random and frozen: %d patches, %d layers, width %d"
            .formatted(tower.patches(), tower.layers(), tower.hidden()));
    DemoData.Sizes sizes = plan.sizes();
    all.put(
        "pictures",
        "%d to train on, %d unseen".formatted(sizes.trainPictures(), sizes.testPictures()));
    all.put(
        "text",
        "%d sentences and %d dialogues, %s %% of them held out"
            .formatted(
                sizes.statements(),
                sizes.dialogues(),
                Numbers.fixed(100 * sizes.heldOutShare(), 0)));
    for (Trained stage : results.stages()) {
      all.put(
          stage.name(),
          "%d steps of %d samples, AdamW, cosine from %s"
              .formatted(
                  stage.steps().count(), stage.steps().batch(), stage.steps().learningRate()));
    }
    all.put("dtype", settings.dtype().dtype().toString());
    all.put("device", results.device());
    all.put(
        "processes of a training stage",
        "%d with %d threads each".formatted(settings.ranks(), settings.threadsOfRank()));
    all.put("threads", Integer.toString(settings.threads()));
    all.put("seed", Long.toString(settings.seed()));
    return TrainingReport.settings(all);
  }

  private static String shape(DecoderConfig model) {
    String experts =
        switch (model.feedForward()) {
          case FeedForwardConfig.Experts e ->
              "%d experts of width %d, %d of them for a token"
                  .formatted(e.count(), e.width(), e.topK());
          case FeedForwardConfig.Dense d -> "dense, width " + d.width();
          case FeedForwardConfig.Mixed m ->
              "%d experts of width %d in layers %s"
                  .formatted(m.scheme().experts(), m.width(), m.layers());
        };
    return "Mixtral: vocabulary %d, width %d, %d layers, %d heads, %s"
        .formatted(model.vocab(), model.hidden(), model.layers(), model.heads().query(), experts);
  }
}
