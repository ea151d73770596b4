package io.moextend.cli;

import io.moextend.train.TrainingSection.ComputeType;
import java.nio.file.Path;

/**
 * What the demo was told.
 *
 * @param output folder of everything it writes
 * @param backend "auto", "cpu" or "nd4j"
 * @param threads of the CPU kernels
 */
record DemoSettings(
    Path output, String backend, ComputeType dtype, int threads, long seed, DemoPlan plan) {}
