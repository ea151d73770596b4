package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import java.io.PrintStream;
import java.nio.file.Path;

/** MoExtend's demo: makes the world and the blank models, runs the chain, writes the report. */
final class DemoRun {
  private final DemoSettings settings;
  private final DemoPlan plan;
  private final PrintStream out;

  DemoRun(DemoSettings settings, DemoPlan plan, PrintStream out) {
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
  DemoResults run() {
    var diary = new DemoDiary(out);
    var ground = new DemoGround(settings, diary);
    ground.requireNew();
    DemoData world = ground.world(plan.sizes(), DemoTokenizer.INSTRUCTIONS);
    try (Backend backend = ground.backend()) {
      ground.blank(backend, world, plan.languageModel(), DemoTower.config(DemoPlan.TOWER_LAYERS));
      DemoResults results = new DemoChain(settings, plan, world, backend, diary, out).run();
      new DemoReport(settings, plan, results).write(report());
      return results;
    }
  }

  /** Where the report is. */
  Path report() {
    return settings.output().resolve("report.html");
  }
}
