@echo off
rem Installs what is missing, then opens Apprentice. Arguments are passed to app.py; "test" runs the tests.
setlocal
rem Never run a program that happens to be in the current folder.
set "NoDefaultCurrentDirectoryInExePath=1"
rem Not Microsoft Store's Python: Windows redirects what it writes into a folder with a much longer path.
set "CHECK=import sys, venv, ensurepip; sys.exit('WindowsApps' in sys.base_prefix or 'ARM' in sys.version or not (3, 11) <= sys.version_info[:2] <= (3, 14))"
rem Python Install Manager would install one without asking.
set "PYTHON_MANAGER_AUTOMATIC_INSTALL=false"
set "PYTHON="
if not exist "%~dp0start.py" goto :packed
call :find
if not defined PYTHON call :install
if not defined PYTHON goto :failed
%PYTHON% "%~dp0start.py" %*
set "CODE=%errorlevel%"
rem Without arguments it was probably a double click: the window stays open until the reason was read.
if not "%CODE%"=="0" if "%~1"=="" pause
exit /b %CODE%

:find
call :try py -3.12
call :try py -3.11
call :try py -3.13
call :try py -3.14
call :try python
call :try python3
rem A Python that was just installed is not on this window's PATH.
call :try "%LocalAppData%\Programs\Python\Python312\python.exe"
call :try "%ProgramFiles%\Python312\python.exe"
exit /b

:try
if defined PYTHON exit /b
%* -I -c "%CHECK%" >nul 2>nul && set PYTHON=%*
exit /b

:install
echo Apprentice needs Python 3.11 to 3.14 (not from the Microsoft Store); none was found.
set "INSTALL="
where winget >nul 2>nul && set "INSTALL=winget install -e --id Python.Python.3.12 --architecture x64 --source winget --accept-source-agreements --accept-package-agreements"
where pymanager >nul 2>nul && set "INSTALL=pymanager install 3.12"
if not defined INSTALL goto :by_hand
choice /c YN /m "Install Python 3.12 from python.org now"
if errorlevel 2 goto :by_hand
if not errorlevel 1 goto :by_hand
%INSTALL%
call :find
if defined PYTHON exit /b
:by_hand
echo Install Python 3.12, the 64-bit installer, from https://www.python.org/downloads/windows
echo Then start Apprentice again.
exit /b

:packed
echo This file needs the rest of its folder. Right-click the zip file, choose "Extract All",
echo and start start.bat in the folder that appears.
:failed
if "%~1"=="" pause
exit /b 1
