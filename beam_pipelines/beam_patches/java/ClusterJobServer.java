package org.apache.beam.runners.flink;

import java.util.Collections;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.jobsubmission.*;
import org.apache.beam.sdk.io.FileSystems;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.vendor.guava.v32_1_2_jre.com.google.common.util.concurrent.ListeningExecutorService;

/**
 * Beam's Flink job server for a cluster that has the runner's jars on its own class path: it submits jobs without jars,
 * in a tenth of a second. The stock one uploads its whole class path, 230 MB, with every job.
 *
 * <p>Written for: beam-runners-flink 2.70, with the job service of 2.65.
 * Replaces: nothing; extends Beam's `FlinkJobInvoker`.
 * Issue of Beam's: none filed that we know of.
 * To drop it: delete this file, and have `deploy/flink/start.sh` start Beam's `FlinkJobServerDriver`.
 */
public class ClusterJobServer {
  static class Invoker extends FlinkJobInvoker {
    final String conf;

    Invoker(FlinkJobServerDriver.FlinkServerConfiguration configuration) {
      super(configuration);
      conf = configuration.getFlinkConfDir();
    }

    @Override
    protected JobInvocation createJobInvocation(
        String id, String token, ListeningExecutorService executor, RunnerApi.Pipeline pipeline,
        FlinkPipelineOptions options, PortablePipelineRunner stock) {
      FlinkPipelineRunner runner = new FlinkPipelineRunner(options, conf, Collections.emptyList());
      return super.createJobInvocation(id, token, executor, pipeline, options, runner);
    }
  }

  public static void main(String[] args) throws Exception {
    FileSystems.setDefaultPipelineOptions(PipelineOptionsFactory.create());
    FlinkJobServerDriver.FlinkServerConfiguration configuration = FlinkJobServerDriver.parseArgs(args);
    FlinkJobServerDriver.fromConfig(configuration, () -> new Invoker(configuration)).run();
  }
}
