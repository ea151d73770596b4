package io.moextend.train;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.moextend.config.ConfigException;

/**
 * How several ranks share a run. Nothing of it is part of a run's identity: it may be another when
 * the run goes on.
 *
 * @param zeroStage what each rank keeps only its share of: 0 nothing, 1 optimizer state and
 *     masters, 2 gradients too, 3 weights too (gathered layer by layer)
 * @param bucketBytes gradients that are exchanged at once, while the backward pass goes on
 * @param gradientDtype what gradients travel as; they are summed in f32
 * @param frozen whether each rank holds the frozen weights
 * @param transport what exchanges go over
 */
public record DistributedSection(
    int zeroStage,
    int bucketBytes,
    GradientType gradientDtype,
    FrozenWeights frozen,
    Wire transport) {
  private static final int LEAST_BUCKET = 1024;
  private static final int USUAL_BUCKET = 25 << 20;

  /** Types gradients travel as. */
  public enum GradientType {
    @JsonProperty("f32")
    F32,
    /** Half the bytes; each rank's gradient is rounded once before the sum. */
    @JsonProperty("bf16")
    BF16
  }

  /** Where frozen weights are. */
  public enum FrozenWeights {
    /** Sharded at stage 3, else replicated. */
    @JsonProperty("auto")
    AUTO,
    /** Whole on every host. */
    @JsonProperty("replicated")
    REPLICATED,
    /** Each rank holds its share and gathers a layer when it is needed. */
    @JsonProperty("sharded")
    SHARDED
  }

  /** What exchanges go over. */
  public enum Wire {
    /**
     * From card to card by NCCL where all ranks can; else mapped memory within a host, Aeron over
     * UDP between hosts.
     */
    @JsonProperty("auto")
    AUTO,
    @JsonProperty("shared_memory")
    SHARED_MEMORY,
    @JsonProperty("aeron_ipc")
    AERON_IPC,
    @JsonProperty("aeron_udp")
    AERON_UDP,
    /** By NCCL or not at all; sums are then not in the order of ranks. */
    @JsonProperty("nccl")
    NCCL
  }

  public DistributedSection {
    if (zeroStage < 0 || zeroStage > 3) {
      throw new ConfigException("distributed.zero_stage", zeroStage, "known are 0, 1, 2 and 3");
    }
    Section.requireAtLeast("distributed.bucket_bytes", bucketBytes, LEAST_BUCKET);
  }

  /** What a configuration that says nothing of it gets: {@code defaults.yaml}. */
  public static DistributedSection usual() {
    return usual(1, USUAL_BUCKET);
  }

  /** The rest as in {@link #usual()}. */
  public static DistributedSection usual(int zeroStage, int bucketBytes) {
    return new DistributedSection(
        zeroStage, bucketBytes, GradientType.F32, FrozenWeights.AUTO, Wire.AUTO);
  }

  /** Whether frozen weights are sharded, {@code auto} resolved. */
  public boolean shardsFrozen() {
    return switch (frozen) {
      case AUTO -> zeroStage == 3;
      case REPLICATED -> false;
      case SHARDED -> true;
    };
  }
}
