# upshot serve: flags, events, looks, jobs and the API in one process or several, over one volume.
# docs/operations.md says how it is run, upgraded and backed up.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY src src
COPY sdk sdk
RUN python -m venv /opt/upshot \
 && /opt/upshot/bin/pip install --no-cache-dir --constraint requirements.lock ./sdk ".[postgresql,alerts]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data upshot && install -d -o upshot -m 700 /data
COPY --from=build /opt/upshot /opt/upshot
ENV PATH=/opt/upshot/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8790
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
  ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8790/healthz', timeout=2)"]
ENTRYPOINT ["upshot"]
CMD ["serve", "--data", "/data/upshot-data", "--host", "0.0.0.0"]
