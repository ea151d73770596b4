package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import java.io.PrintStream;
import java.nio.file.Path;

/** MoIIE's demo: one dense model, and the three mixtures grown from it, side by side. */
final class MoiieDemo {
  private final DemoSettings settings;
  private final MoiieDemoPlan plan;
  private final PrintStream out;

  MoiieDemo(DemoSettings settings, MoiieDemoPlan plan, PrintStream out) {
    settings.requireSharable(plan.stages());
    this.settings = settings;
    this.plan = plan;
    this.out = out;
  }

  /**
   * Trains, measures, and writes report.html into the output folder.
   *
   * @throws io.moextend.config.ConfigException where something stands there already
   */
  MoiieDemoResults run() {
    var diary = new DemoDiary(out);
    var ground = new DemoGround(settings, diary);
    ground.requireNew();
    DemoData world = ground.world(plan.sizes(), DemoTokenizer.CONVERSATIONS);
    try (Backend backend = ground.backend()) {
      ground.blank(
          backend, world, plan.languageModel(), DemoTower.config(MoiieDemoPlan.TOWER_LAYERS));
      MoiieDemoResults results =
          new MoiieDemoChain(settings, plan, world, backend, diary, out).run();
      new MoiieDemoReport(settings, plan, results).write(report());
      return results;
    }
  }

  /** Where the report is. */
  Path report() {
    return settings.output().resolve("report.html");
  }
}
