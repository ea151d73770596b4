package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A name says the role that the loaded model gives it. */
class ParameterRolesTest {
  @ParameterizedTest
  @ValueSource(strings = {"moextend/vision_align", "moextend/moextend_ft_rand", "hf/hf_mixtral"})
  void aNameSaysTheRoleOfTheLoadedParameter(String golden) {
    Path folder = Golden.path(golden);
    DecoderConfig config = HuggingFaceConfig.read(folder).decoder();
    try (Backend backend = Backends.open("cpu", new Options(1, 0));
        OpenModel model =
            OpenModel.of(CheckpointFolder.open(folder), config, backend, DType.F32, Set.of(), 0)) {
      assertThat(model.decoder().parameters())
          .isNotEmpty()
          .allSatisfy(p -> assertThat(ParameterRoles.of(p.name(), config)).isEqualTo(p.role()));
    }
  }
}
