package io.moextend.train;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What an encoder-decoder learns from: prompted tasks.
 *
 * @param mixture file that names tasks, their files and how often each is drawn
 * @param evalMixture tasks to evaluate on; null = none
 * @param root folder the files of both lists' tasks lie in; null = what each list says, else its
 *     own folder
 * @param inputsLength tokens of a row's inputs; longer ones are cut
 * @param targetsLength tokens of a row's targets, the end's counted; longer ones are cut
 * @param packing true puts several examples into a row
 * @param dataloaderNumWorkers threads that prepare batches ahead
 */
public record PromptedSection(
    Path mixture,
    @Nullable Path evalMixture,
    @Nullable Path root,
    int inputsLength,
    int targetsLength,
    boolean packing,
    int dataloaderNumWorkers) {
  public PromptedSection {
    Section.requireAtLeast("data.inputs_length", inputsLength, 1);
    Section.requireAtLeast("data.targets_length", targetsLength, 1);
    Section.requireAtLeast("data.dataloader_num_workers", dataloaderNumWorkers, 0);
  }
}
