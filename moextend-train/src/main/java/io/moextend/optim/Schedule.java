package io.moextend.optim;

import io.moextend.config.ConfigException;

/** The learning rate of each optimizer step. Steps count from 1. */
public sealed interface Schedule
    permits Schedule.Cosine, Schedule.Linear, Schedule.Constant, Schedule.WarmupLr, FactorSchedule {
  /**
   * @param step from 1
   * @return the rate this step uses
   */
  double at(int step);

  /** Steps of warm-up: {@code ceil(ratio · steps)}, as Hugging Face's warmup_ratio. */
  static int warmupSteps(double ratio, int steps) {
    if (!(ratio >= 0 && ratio <= 1)) {
      throw new ConfigException("warmup_ratio", ratio, "must be between 0 and 1");
    }
    return (int) Math.ceil(ratio * steps);
  }

  /**
   * Linear warm-up from 0, then half a cosine down to 0.
   *
   * @see <a
   *     href="https://huggingface.co/docs/transformers/main_classes/optimizer_schedules">get_cosine_schedule_with_warmup</a>
   */
  record Cosine(double peak, int warmup, int total) implements Schedule {
    public Cosine {
      requireWarmup(warmup, total);
    }

    @Override
    public double at(int step) {
      int done = requireStep(step) - 1;
      if (done < warmup) {
        return peak * ((double) done / Math.max(1, warmup));
      }
      double progress = (double) (done - warmup) / Math.max(1, total - warmup);
      return peak * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
    }
  }

  /** Linear warm-up from 0, then linearly down to 0 (get_linear_schedule_with_warmup). */
  record Linear(double peak, int warmup, int total) implements Schedule {
    public Linear {
      requireWarmup(warmup, total);
    }

    @Override
    public double at(int step) {
      int done = requireStep(step) - 1;
      if (done < warmup) {
        return peak * ((double) done / Math.max(1, warmup));
      }
      return peak * Math.max(0, (double) (total - done) / Math.max(1, total - warmup));
    }
  }

  /** Linear warm-up from 0, then always {@code peak}; warm-up 0 is Hugging Face's "constant". */
  record Constant(double peak, int warmup) implements Schedule {
    @Override
    public double at(int step) {
      int done = requireStep(step) - 1;
      return done < warmup ? peak * ((double) done / warmup) : peak;
    }
  }

  /**
   * DeepSpeed's WarmupLR as it really ran in the published MoExtend runs (releases before October
   * 2024): the first step uses the full rate, the second 0, then the rate grows with the logarithm
   * of the step and stays at {@code peak}. The scheduler block of the published DeepSpeed files
   * selects it, whatever lr_scheduler_type says.
   *
   * @param warmup steps; fewer than 2 count as 2, as there
   */
  record WarmupLr(double peak, int warmup) implements Schedule {
    @Override
    public double at(int step) {
      int done = requireStep(step) - 2; // the first scheduler step comes after the first update
      int length = Math.max(2, warmup);
      if (done < 0 || done >= length) {
        return peak;
      }
      return peak * Math.min(1, Math.log(done + 1) * (1 / Math.log(length)));
    }
  }

  private static int requireStep(int step) {
    if (step < 1) {
      throw new IllegalArgumentException("step=" + step + ", steps count from 1");
    }
    return step;
  }

  private static void requireWarmup(int warmup, int total) {
    if (warmup < 0 || warmup > total) {
      throw new ConfigException(
          "warmup_steps", warmup, "must be between 0 and the run's " + total + " steps");
    }
  }
}
