package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.shard.ShardedOptimizer.Settings;

/** What differs between two tests. Small buckets, so that there are several. */
record Setup(
    String name, DType compute, int world, Settings settings, double maxNorm, long bucketBytes) {
  static Setup of(String backend, DType compute, int world, ZeroStage stage) {
    var settings = new Settings(stage, Untouched.ZERO_GRADIENT, compute.wide(), RoleRates.ALIKE);
    return new Setup(backend, compute, world, settings, 0, 1024);
  }

  Setup world(int other) {
    return new Setup(name, compute, other, settings, maxNorm, bucketBytes);
  }

  Setup clipped(double norm) {
    return new Setup(name, compute, world, settings, norm, bucketBytes);
  }

  Setup payload(DType payload) {
    return with(new Settings(settings.stage(), settings.untouched(), payload, settings.rates()));
  }

  Setup untouched(Untouched untouched) {
    return with(
        new Settings(settings.stage(), untouched, settings.gradientPayload(), settings.rates()));
  }

  Setup rates(RoleRates rates) {
    return with(
        new Settings(settings.stage(), settings.untouched(), settings.gradientPayload(), rates));
  }

  private Setup with(Settings other) {
    return new Setup(name, compute, world, other, maxNorm, bucketBytes);
  }

  @MustBeClosed
  Backend open() {
    return Backends.open(name, new BackendProvider.Options(1, 0));
  }
}
