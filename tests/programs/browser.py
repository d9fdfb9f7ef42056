# SPDX-License-Identifier: MIT
#
# Chromium without a window, told what to do by chromedriver (WebDriver, in JSON): for
# the pages that lethectl writes. Asks nothing but that chromedriver, on this machine.
"""with Browser() as browser: browser.open(url); browser.run(script)"""

import base64
import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-dev-shm-usage', '--hide-scrollbars']


class Browser:
    def __init__(self, directory=None):
        self.directory = tempfile.TemporaryDirectory(dir=directory)
        # A home of its own: nothing of a person's browser is read or written.
        self.driver = subprocess.Popen(
            ['chromedriver', '--port=0'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, 'HOME': self.directory.name, 'XDG_CONFIG_HOME': self.directory.name},
            text=True)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.session = None
        for line in self.driver.stdout:
            port = re.search(r'started successfully on port (\d+)', line)
            if port:
                break
        else:
            raise OSError('chromedriver did not start')
        self.address = 'http://127.0.0.1:%s/session' % port[1]

    def __enter__(self):
        try:
            flags = FLAGS + ['--user-data-dir=' + self.directory.name + '/profile']
            wanted = {'goog:chromeOptions': {'args': flags},
                      'goog:loggingPrefs': {'browser': 'ALL', 'performance': 'ALL'}}
            answer = self.ask('POST', '', {'capabilities': {'alwaysMatch': wanted}})
            self.session = answer['sessionId']
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.ask('DELETE', '/' + self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            self.directory.cleanup()

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method,
                                         headers={'Content-Type': 'application/json'})
        try:
            with self.opener.open(request, timeout=120) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise OSError(json.load(error)['value']['message']) from None

    def tell(self, what, body):
        return self.ask('POST', '/%s/%s' % (self.session, what), body)

    def open(self, url):
        self.tell('url', {'url': url})

    def run(self, script, *arguments):
        return self.tell('execute/sync', {'script': script, 'args': list(arguments)})

    def cdp(self, command, **parameters):
        return self.tell('goog/cdp/execute', {'cmd': command, 'params': parameters})

    def look(self, width, height, dark=False, media=''):
        """How wide, and under which preferences, from here on."""
        self.cdp('Emulation.setDeviceMetricsOverride', width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
        self.cdp('Emulation.setEmulatedMedia', media=media, features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def key(self, key):
        """Pressed where the focus is: a character, or one of WebDriver's private ones."""
        self.tell('actions', {'actions': [{'type': 'key', 'id': 'keyboard', 'actions': [
            {'type': 'keyDown', 'value': key}, {'type': 'keyUp', 'value': key}]}]})

    def log(self, kind):
        """What there was since it was asked last: 'browser' (the console), 'performance'."""
        return self.tell('se/log', {'type': kind})

    def picture(self, file):
        """All of the page."""
        shot = self.cdp('Page.captureScreenshot', format='png', captureBeyondViewport=True)
        with open(file, 'wb') as out:
            out.write(base64.b64decode(shot['data']))
